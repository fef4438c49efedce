"""The sample files of a score command, which are all read and checked before any sample runs."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.scoring.pass_at_k import supported_ks
from codex_jax.scoring.results import check_out, check_replaced
from codex_jax.scoring.samples import read_samples, temperature_of
from codex_jax.storage.jsonl import Json


@dataclass(frozen=True)
class SampleFile:
    """The samples of a file."""

    path: Path
    samples: list[Json]  # each has a task_id of the benchmark, and a completion or a solution
    out: Path  # the results file
    label: str  # name in tables: the temperature, file name or path


def read_sample_files(
    paths: Sequence[Path],
    out: Path | None,
    inputs: Iterable[Path],
    benchmark: Benchmark,
    skip_bad: bool,
    skip_missing: bool,
) -> list[SampleFile]:
    """Reads all samples; InputError for invalid samples or flags.

    out: the results file, by default SAMPLES_results.jsonl. inputs: other files that `out` must not replace.
    """
    if out is not None and len(paths) > 1:
        raise InputError("--out takes the results of one file of samples: leave it out for several")
    for path, count in Counter(path.resolve() for path in paths).items():
        if count > 1:
            raise InputError(f"{path} is given twice: give each file of samples once")
    inputs = [*paths, *inputs]
    files = []
    for path in paths:
        results = out or path.with_name(path.name + "_results.jsonl")
        check_out(results, inputs)
        samples = read_samples(path, benchmark, skip_bad)
        if out is not None:
            check_replaced(out, samples)
        sampled = {sample["task_id"] for sample in samples}
        missing = [task_id for task_id in benchmark.problems if task_id not in sampled]
        if missing:
            fault = f"{path}: {len(missing)} of {len(benchmark.problems)} problems have no sample, such as {missing[0]}"
            if not skip_missing:
                raise InputError(f"{fault} (--skip-missing scores the rest)")
            print(f"{fault}; they are left out", file=sys.stderr)
        temperature = temperature_of(samples, path) if len(paths) > 1 else ""
        files.append(SampleFile(path, samples, results, f"T {temperature}" if temperature else path.name))
    labels = Counter(file.label for file in files)
    return [file if labels[file.label] == 1 else replace(file, label=str(file.path)) for file in files]


def check_ks(ks: list[int], file: SampleFile) -> None:
    """Prints which values of k are skipped for lack of samples; InputError if all are."""
    supported, omitted = supported_ks(Counter(sample["task_id"] for sample in file.samples), ks)
    for name, reason in omitted.items():
        print(f"{file.path}: {name} is skipped: {reason}", file=sys.stderr)
    if not supported:
        reason = next(iter(omitted.values()))
        raise InputError(f"{file.path}: no k of {','.join(map(str, ks))} can be scored: {reason}")
