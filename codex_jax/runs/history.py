"""history.jsonl of a run folder: when the run was started, resumed, changed and stopped, and with what.

The file is also the lock of the folder: only one command trains in it at a time.
"""

import datetime
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.storage.journal import Journal, complete_lines, open_journal
from codex_jax.storage.jsonl import Json, parse

NAME = "history.jsonl"
HEADER = {"history": "codex_jax.train"}


class History:
    """The rows of history.jsonl, such as {"time": ..., "event": "resumed", "step": 40, "changed": {...}}."""

    def __init__(self, rows: list[Json], journal: Journal | None = None) -> None:
        """journal: where to write; None, for processes other than the first, keeps new rows in memory only."""
        self.rows, self._journal = rows, journal

    @property
    def is_open(self) -> bool:
        """Whether this process writes the file."""
        return self._journal is not None

    def add(self, event: str, step: int, **values: Any) -> None:
        """Appends a row. A full disk costs the row and a warning, but does not end the run."""
        row = {"time": _now(), "event": event, "step": step, **values}
        self.rows.append(row)
        if self._journal:
            try:
                self._journal.append(row)
                self._journal.sync()
            except InputError as error:
                terminal.warn(str(error))

    def skipped(self, step: int) -> int:
        """How many batches of the data's order come before step `step` + 1 and were skipped by a rollback."""
        skips: dict[int, int] = {}
        for row in self.rows:
            if row.get("event") == "rolled back":  # what was skipped after its step belongs to steps that are undone
                skips = {after: count for after, count in skips.items() if after <= row["step"]}
                skips[row["step"]] = skips.get(row["step"], 0) + row["skipped"]
        return sum(count for after, count in skips.items() if after <= step)

    def latest(self, name: str) -> Any:
        """The value of `name` in the newest row that has one, or None."""
        return next((row[name] for row in reversed(self.rows) if name in row), None)


@contextmanager
def open_history(folder: Path) -> Iterator[History]:
    """Opens and locks a run folder's history; InputError if another process trains in the folder."""
    with open_journal(folder / NAME, HEADER) as journal:
        yield History(journal.rows, journal)


def read_history(folder: Path) -> list[Json]:
    """The rows of a run folder's history; empty if it has none."""
    try:
        data = (folder / NAME).read_bytes()
    except OSError:
        return []
    return [parse(line.decode("utf-8", "replace"))[1] for line in complete_lines(data)[1:]]


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
