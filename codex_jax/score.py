"""python -m codex_jax.score samples.jsonl --problems humaneval|FILE: runs every sample against its problem's test.

python -m codex_jax.score --check prints what keeps programs in on this machine, and tries it.
"""

import json
import os
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.benchmarks.problem import Problem, load_problems
from codex_jax.benchmarks.summary import KS, summarize
from codex_jax.errors import InputError
from codex_jax.execution.layers import UNSAFE
from codex_jax.execution.pool import Worker, run_samples
from codex_jax.execution.selftest import self_test
from codex_jax.jsonl import Json, parse, read_lines, write_objects


@dataclass(frozen=True)
class Args:
    """Scores completions in human-eval's format; each runs in a process of its own, its test in another."""

    samples: tyro.conf.Positional[Path | None] = None  # samples.jsonl[.gz]: a task_id and a completion a line
    problems: str = ""  # humaneval, or FILE.jsonl[.gz] in its format
    k: str = ",".join(map(str, KS))  # the k's of pass@k, with commas between
    timeout: float = 3.0  # seconds of CPU time a sample may take; 8 times that in all
    workers: int = max(1, os.cpu_count() or 1)  # samples at a time
    skip_bad: bool = False  # score the rest when lines are broken or name an unknown task
    json: bool = False  # print one JSON object instead of the table
    check: bool = False  # print which layer of the sandbox works here, and try to get out of it
    unsafe: bool = False  # run samples with resource limits alone where no sandbox works: they may do what you may


def parse_ks(text: str) -> list[int]:
    """The numbers of --k; InputError where one is none."""
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = [0]
    if ks[0] < 1:
        raise InputError(f"--k {text}: give whole numbers from 1 with commas between, such as 1,10,100")
    return ks


def read_samples(path: Path, problems: dict[str, Problem], skip_bad: bool) -> list[Json]:
    """The samples that can be run; InputError names the first that cannot, unless such are skipped."""
    if not path.is_file():
        raise InputError(f"no samples file {path}: write one with python -m codex_jax.sample")
    rows: list[Json] = []
    for number, line in read_lines(path):
        reason, row = parse(line, ("task_id", "completion"))
        if not reason and row["task_id"] not in problems:
            reason = f"unknown task_id {row['task_id']!r}: is it another benchmark's?"
        if not reason:
            rows.append(row)
        elif skip_bad:
            print(f"{path} line {number} skipped: {reason}", file=sys.stderr)
        else:
            raise InputError(f"{path} line {number}: {reason} (--skip-bad scores the rest)")
    if not rows:
        raise InputError(f"{path} holds no samples to score")
    return rows


def score(args: Args, rows: list[Json], problems: dict[str, Problem], out: Path) -> list[Json]:
    """Runs the samples and writes out, whole or not at all; each row gains result, passed and blocks."""
    results: list[Json] = [{} for _ in rows]
    if not os.access(out.parent, os.W_OK):
        raise InputError(f"cannot write {out}: the folder is not writable")
    layer = choose_layer(args.unsafe)
    began, passed = time.monotonic(), 0
    with terminal.progress("score", len(rows)) as report:
        pairs = ((problems[row["task_id"]], row["completion"]) for row in rows)
        for done, verdict in enumerate(run_samples(pairs, args.workers, args.timeout, layer), 1):
            row = {**rows[verdict.index], "result": verdict.result, "passed": verdict.passed}
            blocks = problems[row["task_id"]].blocks
            if blocks is not None:
                row["blocks"] = blocks
            results[verdict.index] = row
            passed += verdict.passed
            report(1, f"passed {passed}  {done / (time.monotonic() - began):,.0f} samples/s")
    try:
        write_objects(out, results)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}") from None
    return results


def choose_layer(unsafe: bool) -> str:
    """ "auto", or that of --unsafe where no other works; InputError says why none does."""
    try:
        worker = Worker()
    except InputError:
        if not unsafe:
            raise
        print(f"warning: no sandbox works here, and --unsafe was given: {UNSAFE.text}", file=sys.stderr)
        return UNSAFE.name
    worker.close()
    return worker.layer


def check() -> int:
    """Prints the layer and what it kept in; 1 where it did not keep all in."""
    bad = 0
    for name, result in self_test():
        bad += result.startswith("not kept in")
        print(f"{name}: {result}")
    if bad:
        print(f"{bad} attempts were not kept in: do not score samples here", file=sys.stderr)
    return min(bad, 1)


def show(values: Json, reasons: Counter[str], out: Path) -> None:
    """The table at the end."""
    table = Table(title=f"{values['problems']} problems, {values['samples']} samples, {values['passed']} passed")
    table.add_column("measure")
    table.add_column("percent", justify="right")
    names = {"mean_logp": "highest mean log p", "sum_logp": "highest sum log p", "oracle": "oracle"}
    for key, value in values.items():
        if key.startswith("pass@") or key in names:
            table.add_row(names.get(key, key), f"{100 * value:.2f}")
    for length, value in values.get("by_blocks", {}).items():
        table.add_row(f"pass@1 with {length} blocks", f"{100 * value:.2f}")
    terminal.tables().print(table)
    print("results: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(6)))
    print(out)


def main(args: Args) -> int:
    """The command."""
    if args.check:
        return check()
    if args.samples is None or not args.problems:
        raise InputError("give samples.jsonl and --problems humaneval or FILE.jsonl (see --help)")
    ks = parse_ks(args.k)
    if args.timeout <= 0 or args.workers < 1:
        raise InputError("--timeout must be above 0 and --workers at least 1")
    out = args.samples.with_name(args.samples.name + "_results.jsonl")
    problems = {problem.task_id: problem for problem in load_problems(args.problems)}
    rows = read_samples(args.samples, problems, args.skip_bad)
    counts = Counter(row["task_id"] for row in rows)
    fewest, task = min((count, task) for task, count in counts.items())
    for k in ks:
        if k > fewest:
            print(f"pass@{k} cannot be told: {task} has {fewest} samples", file=sys.stderr)
    if ks[0] > fewest:
        raise InputError(f"no k of {args.k} can be scored: the fewest samples a problem are {fewest} ({task})")
    missing = len(problems) - len(counts)
    if missing:
        print(f"{missing} of {len(problems)} problems have no sample and are left out", file=sys.stderr)
    results = score(args, rows, problems, out)
    values = summarize(results, out, ks=ks)
    values["passed"] = sum(row["passed"] for row in results)
    if args.json:
        print(json.dumps(values))
        return 0
    show(values, Counter(row["result"].split(":")[0] for row in results), out)
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
