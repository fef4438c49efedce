"""Metrics of a run: one JSON object per line in metrics.jsonl, and TensorBoard events in events/."""

import json
import math
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.journal import complete_lines
from codex_jax.storage.jsonl import Json, parse

NAME = "metrics.jsonl"


def read_metrics(folder: Path) -> list[Json]:
    """The lines of metrics.jsonl, without one that is still being written; InputError where there is no such file."""
    try:
        lines = complete_lines((folder / NAME).read_bytes())
    except OSError as error:
        raise InputError(f"cannot read {folder / NAME}: {error.strerror}") from None
    return [_parsed(line) for line in lines]


def _parsed(line: bytes) -> Json:
    """The line's object; an empty one where it is damaged."""
    return parse(line.decode("utf-8", "replace"))[1]


class MetricsLog:
    """Appends lines to metrics.jsonl and events to TensorBoard's file."""

    def __init__(self, folder: Path, resume_step: int, active: bool = True) -> None:
        """Drops the lines of later steps than resume_step, which is 0 for a new run; active: False writes nothing."""
        self._active = active
        if not active:
            return
        from tensorboardX import SummaryWriter  # takes half a second, which readers of metrics.jsonl need not wait

        path = folder / NAME
        lines = complete_lines(path.read_bytes()) if resume_step and path.exists() else []
        with write_atomic(path) as file:
            file.writelines(line for line in lines if _parsed(line).get("step", math.inf) <= resume_step)
        self._file = path.open("a")
        self._events = SummaryWriter(str(folder / "events"), purge_step=resume_step + 1 if resume_step else None)

    def write(self, step: int, **values: float) -> None:
        """Appends {"step": step, ...values} and syncs it to disk."""
        if not self._active:
            return
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())  # a mounted bucket uploads a file only when it is synced
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Closes both files."""
        if self._active:
            self._file.close()
            self._events.close()
