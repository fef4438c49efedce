"""A task is a function that reads files, writes files and returns a small result, which is stored in a marker file.

Files are written atomically, the marker last. It contains a fingerprint of the task's inputs. A resumed build skips
tasks whose marker has the right fingerprint.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from codex_jax.storage.remote_files import Folder, read_file

Marker = dict[str, Any]


@dataclass(frozen=True)
class Task:
    """function(work folder, *arguments) writes the task's files and returns its result, for the marker NAME.json."""

    name: str
    fingerprint: str  # of everything that determines the result
    size: int  # bytes of input, for progress
    function: Callable[..., Marker]  # a module-level function, so that it can be pickled
    arguments: tuple[Any, ...]


def run_task(work: Folder, task: Task) -> Marker:
    """Runs a task unless it is finished. Returns its marker."""
    marker = read_marker(work, task.name, task.fingerprint)
    return marker or write_marker(work, task.name, task.fingerprint, task.function(work, *task.arguments))


def fingerprint(*inputs: Any) -> str:
    """A hash of JSON values and of arrays' bytes, as 32 hexadecimal digits."""
    digest = hashlib.blake2b(digest_size=16)
    for value in inputs:
        is_array = isinstance(value, np.ndarray)
        digest.update(np.ascontiguousarray(value).view(np.uint8).data if is_array else json.dumps(value).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def write_marker(work: Folder, name: str, made_from: str, result: Marker) -> Marker:
    """Writes NAME.json with the fingerprint made_from. Returns the marker."""
    marker = {"fingerprint": made_from, **result}
    with work.write(f"{name}.json") as file:
        file.write(json.dumps(marker).encode())
    return marker


def read_marker(work: Folder, name: str, made_from: str) -> Marker | None:
    """The marker, or None if it is missing, broken or has another fingerprint."""
    try:
        return _parse(read_file(work, f"{name}.json"), made_from)
    except OSError:
        return None


def read_markers(work: Folder, tasks: Sequence[Task]) -> list[Marker | None]:
    """read_marker for each task."""
    present = work.names()
    numbers = [number for number, task in enumerate(tasks) if f"{task.name}.json" in present]
    markers: list[Marker | None] = [None] * len(tasks)
    files = work.read_ranges((f"{tasks[number].name}.json", 0, None) for number in numbers)
    for number, data in zip(numbers, files, strict=True):
        markers[number] = _parse(data, tasks[number].fingerprint)
    return markers


def _parse(data: bytes, made_from: str) -> Marker | None:
    try:
        marker = json.loads(data)
    except ValueError:
        return None
    return marker if isinstance(marker, dict) and marker.get("fingerprint") == made_from else None
