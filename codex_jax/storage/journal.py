"""An append-only file of finished work, from which an interrupted command resumes."""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from codex_jax.errors import InputError
from codex_jax.storage.jsonl import Json, parse
from codex_jax.storage.regular import open_regular


class Journal:
    """JSON lines: a header that identifies the run, then one row per finished piece of work.

    Rows survive a killed process once append returns. Opening the journal drops an incomplete last line.
    """

    def __init__(self, path: Path, file: BinaryIO, rows: list[Json]) -> None:
        """Called by open_journal. rows: the rows that an earlier run wrote."""
        self.path, self.rows = path, rows
        self._file = file

    def append(self, row: Json) -> None:
        """Adds a row. InputError if it cannot be written."""
        try:
            _append(self._file, row)
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from None

    def sync(self) -> None:
        """Waits until the rows are on the disk, where they survive a crash of the machine. InputError if that fails."""
        try:
            os.fsync(self._file.fileno())
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from None


@contextmanager
def open_journal(path: Path, header: Json) -> Iterator[Journal]:
    """Opens and locks the journal of the run that `header` identifies.

    InputError if it belongs to another run, is in use by another process, is broken, or cannot be written.
    """
    try:
        file = open_regular(path, "a+b")
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            rows = _recover(path, file, header)
        except BlockingIOError:
            raise InputError(f"{path} is in use by another process: wait until it ends") from None
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
        yield Journal(path, file, rows)


def append_whole(file: BinaryIO, data: bytes) -> None:
    """Appends all of `data` to a file without a buffer, or nothing if the disk is full. OSError if it cannot."""
    size = file.seek(0, os.SEEK_END)
    try:
        if file.write(data) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        file.truncate(size)  # so that the next row begins a new line
        raise


def _append(file: BinaryIO, row: Json) -> None:
    append_whole(file, json.dumps(row).encode() + b"\n")


def _recover(path: Path, file: BinaryIO, header: Json) -> list[Json]:
    file.seek(0)
    data = file.read()
    lines = complete_lines(data)
    file.truncate(sum(map(len, lines)))
    if not lines and json.dumps(header).encode().startswith(data):
        _append(file, header)
        return []
    rows = []
    for number, line in enumerate(lines or [data], 1):
        reason, row = parse(line.decode("utf-8", "replace"))
        if number > 1 and reason:
            raise InputError(f"{path} line {number}: {reason}: delete the file to start again")
        rows.append(row)
    changed = [name for name in {**header, **rows[0]} if rows[0].get(name) != header.get(name)]
    if changed:
        names = " and ".join(changed)
        raise InputError(f"{path} belongs to a run with other {names}: delete it, or rerun with the original inputs")
    return rows[1:]


def complete_lines(data: bytes) -> list[bytes]:
    """The lines of `data` with their newlines, without an incomplete last line, which a killed process may leave."""
    return data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
