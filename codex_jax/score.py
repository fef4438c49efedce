"""python -m codex_jax.score samples.jsonl --problems humaneval|FILE|apps:DIR|mbpp:FILE: runs every sample.

python -m codex_jax.score --check prints what keeps programs in on this machine, and tries it.
"""

import json
import os
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import tyro

from codex_jax import cli, terminal
from codex_jax.errors import InputError
from codex_jax.problems.load import load_benchmark
from codex_jax.reporting import tables
from codex_jax.reporting.statistics import KS, best, by_problem, summarize
from codex_jax.sandbox.layers import UNSAFE
from codex_jax.sandbox.pool import SandboxWorker
from codex_jax.sandbox.selftest import self_test
from codex_jax.scoring.results import forget
from codex_jax.scoring.sample_files import check_ks, read_sample_files
from codex_jax.scoring.score_file import score
from codex_jax.storage.jsonl import Json

LONGEST = 3600.0  # seconds


@dataclass(frozen=True)
class Args:
    """Scores samples in human-eval's or EvalPlus's format; each runs in a process of its own, its test in another."""

    # Files with a task_id and a completion or a solution a line, or folders DIR/TASK_ID/N.py. Give several for several
    # temperatures, of which the best is told for each k.
    samples: tyro.conf.Positional[tuple[Path, ...]] = ()
    problems: str = ""  # humaneval, FILE.jsonl[.gz] in its, EvalPlus's or MBPP's form, mbpp:FILE.json, or apps:DIR
    k: str = ",".join(map(str, KS))  # the k's of pass@k, with commas between
    timeout: float = 3.0  # seconds of CPU time a sample may take, or each test of APPS; 8 times that in all
    workers: int = max(1, os.cpu_count() or 1)  # samples at a time
    out: Path | None = None  # results file, by default SAMPLES_results.jsonl; a killed run resumes
    skip_bad: bool = False  # score the rest when lines are broken, name an unknown task or repeat a sample
    skip_missing: bool = False  # score the rest when some problems have no sample
    per_problem: bool = False  # a row for each problem too
    json: bool = False  # print one JSON object instead of the tables
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


def choose_layer(unsafe: bool) -> str:
    """ "auto", or that of --unsafe where no other works; InputError says why none does."""
    try:
        worker = SandboxWorker()
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


def as_json(models: dict[str, Json], ks: list[int]) -> Json:
    """The values of one file; of several the best for each k, and the values of each."""
    if len(models) == 1:
        return next(iter(models.values()))
    found = best(models, ks)
    totals = {name: sum(values[name] for values in models.values()) for name in ("samples", "passed")}
    totals["problems"] = max(values["problems"] for values in models.values())
    return {**totals, **{key: entry["value"] for key, entry in found.items()}, "best": found, "files": models}


def show(models: dict[str, Json], ks: list[int]) -> None:
    """The tables at the end."""
    shown = tables.of_models(models) + (tables.best(best(models, ks)) if len(models) > 1 else [])
    for values in models.values():
        shown += tables.problems(values["per_problem"]) if "per_problem" in values else []
    for title, rows in shown:
        terminal.show(title, rows)
    for name, values in models.items():
        counts = f"{values['problems']} problems, {values['samples']} samples, {values['passed']} passed"
        print(
            f"{name}: {counts}",
            *(f"{key} untold: {reason}" for key, reason in values.get("untold", {}).items()),
            sep="; ",
        )
    print(tables.NOTE)


def main(args: Args) -> int:
    """The command."""
    if args.check:
        return check()
    if not args.samples or not args.problems:
        raise InputError("give samples.jsonl and --problems humaneval or FILE.jsonl (see --help)")
    ks = parse_ks(args.k)
    if not 0 < args.timeout <= LONGEST or args.workers < 1:
        raise InputError(f"--timeout must be above 0 and at most {LONGEST:.0f}, and --workers at least 1")
    benchmark = load_benchmark(args.problems)
    kept = Path(args.problems), Path(args.problems.partition(":")[2])  # the problems, which results must not replace
    files = read_sample_files(args.samples, args.out, kept, benchmark, args.skip_bad, args.skip_missing)
    for given in files:
        check_ks(ks, given)
    layer = choose_layer(args.unsafe)
    models: dict[str, Json] = {}
    for given in files:
        results = score(given, benchmark, args.timeout, args.workers, layer)
        models[given.label] = values = summarize(results, given.out, ks=ks)
        if args.per_problem:
            values["per_problem"] = by_problem(results)
        if not args.json:
            reasons = Counter(row["result"].split(":")[0] for row in results)
            print("results: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(6)))
            print(given.out)
    for given in files:
        forget(given.out)
    if args.json:
        print(json.dumps(as_json(models, ks)))
    else:
        show(models, ks)
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
