"""Metrics of a run: one JSON object per line in metrics.jsonl, and TensorBoard events in events/."""

import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Protocol

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.runs.tensorboard import EventFile
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.journal import append_whole, complete_lines
from codex_jax.storage.jsonl import Json, parse

NAME = "metrics.jsonl"


class WriteMetrics(Protocol):
    """write(step, **values) appends {"step": step, ...values}."""

    def __call__(self, step: int, **values: float) -> None: ...


class Tracker(Protocol):
    """Where metrics go besides metrics.jsonl, such as TensorBoard's files."""

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds a row. OSError if it cannot be written."""

    def close(self) -> None:
        """Nothing more is written."""


def read_metrics(folder: Path) -> list[Json]:
    """The complete lines of metrics.jsonl; InputError if the file is missing or a line is not a JSON object."""
    path, rows = folder / NAME, []
    try:
        lines = complete_lines(path.read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        reason, row = _parsed(line)
        if reason:
            raise InputError(f"{path} line {number}: {reason}")
        rows.append(row)
    return rows


def _parsed(line: bytes) -> tuple[str, Json]:
    return parse(line.decode("utf-8", "replace"))


@contextmanager
def open_metrics(
    folder: Path, resume_step: int, active: bool = True, more: Sequence[Tracker] = ()
) -> Iterator[WriteMetrics]:
    """Opens both files for appending; drops damaged lines and those after resume_step (0 for a new run).

    Yields the function that writes a line and syncs it to disk. active: False writes nothing. more: other trackers.
    """
    if not active:
        yield lambda step, **values: None
        return
    path = folder / NAME
    lines = complete_lines(path.read_bytes()) if resume_step and path.exists() else []
    with write_atomic(path) as rewritten:
        rewritten.writelines(line for line in lines if _parsed(line)[1].get("step", math.inf) <= resume_step)
    purge_step = resume_step + 1 if resume_step else None  # from this step on, TensorBoard ignores earlier events
    with path.open("ab", buffering=0) as file, ExitStack() as stack:
        trackers = [stack.enter_context(closing(one)) for one in (EventFile(folder / "events", purge_step), *more)]
        waiting: list[tuple[int, dict[str, float]]] = []  # rows that a full disk has not taken

        def write(step: int, **values: float) -> None:
            waiting.append((step, values))
            try:
                while waiting:
                    number, row = waiting[0]
                    append_whole(file, json.dumps({"step": number, **row}).encode() + b"\n")
                    del waiting[0]
                    for tracker in trackers:
                        tracker.write(number, row)
                os.fsync(file.fileno())  # a mounted bucket uploads a file only when it is synced
            except OSError as error:
                if len(waiting) == 1:
                    terminal.warn(f"cannot write {path}: {error.strerror}; training goes on; metrics wait")

        yield write
