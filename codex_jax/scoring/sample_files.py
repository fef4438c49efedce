"""The files of samples that a command was given, all read and checked before any sample is run."""

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.reporting.statistics import supported
from codex_jax.scoring.results import check_held, check_place
from codex_jax.scoring.samples import read_samples, temperature_of, without_samples
from codex_jax.storage.jsonl import Json


@dataclass(frozen=True)
class SampleFile:
    """Samples of one file, each a task_id of the benchmark with a completion or a solution."""

    path: Path
    rows: list[Json]
    out: Path  # for the results
    label: str = ""  # by which tables name it: the temperature of several files, where it tells them apart


def read_sample_files(
    paths: Sequence[Path],
    out: Path | None,
    kept: Iterable[Path],
    benchmark: Benchmark,
    skip_bad: bool,
    skip_missing: bool,
) -> list[SampleFile]:
    """All samples; out: for the results, by default SAMPLES_results.jsonl; kept: files that these must not replace."""
    if out is not None and len(paths) > 1:
        raise InputError("--out takes the results of one file of samples: leave it out for several")
    for path, times in Counter(path.resolve() for path in paths).items():
        if times > 1:
            raise InputError(f"{path} is given twice: give each file of samples once")
    kept = [*paths, *kept]
    found = []
    for path in paths:
        place = out or path.with_name(path.name + "_results.jsonl")
        check_place(place, kept)
        rows = read_samples(path, benchmark, skip_bad)
        if out is not None:
            check_held(out, rows)
        missing = without_samples(rows, benchmark)
        if missing:
            fault = f"{path}: {len(missing)} of {len(benchmark.tasks)} problems have no sample, such as {missing[0]}"
            if not skip_missing:
                raise InputError(f"{fault} (--skip-missing scores the rest)")
            print(f"{fault}; they are left out", file=sys.stderr)
        temperature = temperature_of(rows, path) if len(paths) > 1 else ""
        found.append(SampleFile(path, rows, place, f"T {temperature}" if temperature else path.name))
    labels = Counter(given.label for given in found)
    return [given if labels[given.label] == 1 else replace(given, label=str(given.path)) for given in found]


def check_ks(ks: list[int], given: SampleFile) -> None:
    """Says which k's cannot be told; InputError where none can."""
    by_task = defaultdict(list)
    for row in given.rows:
        by_task[row["task_id"]].append(row)
    told, untold = supported(by_task, ks)
    for name, reason in untold.items():
        print(f"{given.path}: {name} cannot be told: {reason}", file=sys.stderr)
    if not told:
        raise InputError(f"{given.path}: no k of {','.join(map(str, ks))} can be scored: {next(iter(untold.values()))}")
