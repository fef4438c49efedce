"""Metrics of a run: one JSON object per line in metrics.jsonl, and TensorBoard events in events/."""

import json
import math
import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.journal import complete_lines
from codex_jax.storage.jsonl import Json, parse

NAME = "metrics.jsonl"


class WriteMetrics(Protocol):
    """write(step, **values) appends {"step": step, ...values}."""

    def __call__(self, step: int, **values: float) -> None: ...


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


@contextmanager
def open_metrics(folder: Path, resume_step: int, active: bool = True) -> Iterator[WriteMetrics]:
    """Opens both files for appending, without what an earlier process logged after resume_step (0 for a new run).

    Each line is synced to disk when the yielded function returns. active: False writes nothing.
    """
    if not active:
        yield lambda step, **values: None
        return
    from tensorboardX import SummaryWriter  # takes half a second, which readers of metrics.jsonl need not wait

    path = folder / NAME
    lines = complete_lines(path.read_bytes()) if resume_step and path.exists() else []
    with write_atomic(path) as rewritten:
        rewritten.writelines(line for line in lines if _parsed(line).get("step", math.inf) <= resume_step)
    purge_step = resume_step + 1 if resume_step else None  # from which TensorBoard ignores earlier events
    with path.open("a") as file, closing(SummaryWriter(str(folder / "events"), purge_step=purge_step)) as events:

        def write(step: int, **values: float) -> None:
            file.write(json.dumps({"step": step, **values}) + "\n")
            file.flush()
            os.fsync(file.fileno())  # a mounted bucket uploads a file only when it is synced
            for name, value in values.items():
                events.add_scalar(name, value, step)

        yield write
