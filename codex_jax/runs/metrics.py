"""metrics.jsonl and TensorBoard events; process 0 alone writes."""

import json
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import jax
from tensorboardX import SummaryWriter


class MetricsLog:
    """Appends a line a logged step; a resumed run first drops the lines past the step it resumes from."""

    def __init__(self, folder: Path, resume_step: int) -> None:
        """folder: the run folder; resume_step: 0 for a fresh run."""
        self._active = jax.process_index() == 0
        if not self._active:
            return
        path = folder / "metrics.jsonl"
        kept = []
        if resume_step and path.exists():
            for line in path.read_text().splitlines():
                try:
                    if json.loads(line)["step"] <= resume_step:
                        kept.append(line + "\n")
                except (ValueError, KeyError):
                    continue  # the torn last line of a killed run
        temporary = path.with_suffix(".jsonl.tmp")
        temporary.write_text("".join(kept))
        temporary.rename(path)
        self._file = path.open("a")
        self._events = SummaryWriter(str(folder / "events"), purge_step=resume_step + 1 if resume_step else None)

    def write(self, step: int, **values: float) -> None:
        """One line, flushed: {"step": step, ...values}."""
        if not self._active:
            return
        self._file.write(json.dumps({"step": step, **values}) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())  # a bucket mounted as a folder uploads at nothing less
        for name, value in values.items():
            self._events.add_scalar(name, value, step)

    def __enter__(self) -> Self:
        """Used as a context."""
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        """Closes both files."""
        if self._active:
            self._file.close()
            self._events.close()
