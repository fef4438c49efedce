"""The sample files of a score command, which are all read and checked before any sample runs."""

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.scoring.pass_at_k import supported_ks
from codex_jax.scoring.results import check_out, check_replaced
from codex_jax.scoring.samples import Seen, read_samples, temperature_of
from codex_jax.storage.jsonl import Json


@dataclass(frozen=True)
class SampleFile:
    """The samples of a file."""

    path: Path
    samples: list[Json]  # each has a task_id of the benchmark, and a completion or a solution
    out: Path  # the results file


@dataclass(frozen=True)
class SampleSet:
    """The files of one temperature, as those of several seeds. Their samples are counted together."""

    label: str  # its name in tables: the temperature, or the names of the files
    files: list[SampleFile]

    @property
    def samples(self) -> list[Json]:
        """The samples of all files."""
        return [sample for file in self.files for sample in file.samples]


def read_sample_files(
    paths: Sequence[Path],
    out: Path | None,
    inputs: Iterable[Path],
    benchmark: Benchmark,
    skip_bad: bool,
    skip_missing: bool,
) -> list[SampleSet]:
    """Reads all samples; InputError for invalid samples or flags. Several sets differ in their temperatures.

    out: the results file, by default SAMPLES_results.jsonl. inputs: other files that `out` must not replace.
    """
    if out is not None and len(paths) > 1:
        raise InputError("--out takes the results of one file of samples: leave it out for several")
    for name, count in Counter(map(os.path.realpath, paths)).items():
        if count > 1:
            raise InputError(f"{name} is given twice: give each file of samples once")
    inputs = [*paths, *inputs]
    by_temperature: dict[str, list[SampleFile]] = {}
    seen: Seen = {}
    for path in paths:
        results = out or path.with_name(path.name + "_results.jsonl")
        check_out(results, inputs)
        samples = read_samples(path, benchmark, skip_bad, seen)
        if out is not None:
            check_replaced(out, samples)
        temperature = temperature_of(samples, path) if len(paths) > 1 else ""
        by_temperature.setdefault(temperature, []).append(SampleFile(path, samples, results))
    if len(by_temperature) > 1 and "" in by_temperature:
        path = by_temperature[""][0].path
        raise InputError(f"{path} has no 'temperature', and other files have one: add it, or score the file by itself")
    sets = [
        SampleSet(f"T {t}" if t and len(by_temperature) > 1 else _names(files), files)
        for t, files in by_temperature.items()
    ]
    for one in sets:
        _check_missing(one, benchmark, skip_missing)
    return sets


def _names(files: list[SampleFile]) -> str:
    first, *others = (file.path.name for file in files)
    return f"{first} and {len(others)} more" if others else first


def _check_missing(samples: SampleSet, benchmark: Benchmark, skip_missing: bool) -> None:
    sampled = {sample["task_id"] for sample in samples.samples}
    missing = [task_id for task_id in benchmark.problems if task_id not in sampled]
    if not missing:
        return
    names = ", ".join(str(file.path) for file in samples.files)
    fault = f"{names}: {len(missing)} of {len(benchmark.problems)} problems have no sample, such as {missing[0]}"
    if not skip_missing:
        raise InputError(f"{fault} (--skip-missing scores the rest)")
    terminal.note(f"{fault}; they are left out")


def check_ks(ks: list[int], samples: SampleSet) -> None:
    """Prints which values of k are skipped for lack of samples; InputError if all are."""
    supported, omitted = supported_ks(Counter(sample["task_id"] for sample in samples.samples), ks)
    for name, reason in omitted.items():
        terminal.note(f"{samples.label}: {name} is skipped: {reason}")
    if not supported:
        reason = next(iter(omitted.values()))
        raise InputError(f"{samples.label}: no k of {','.join(map(str, ks))} can be scored: {reason}")
