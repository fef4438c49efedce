"""Writes files atomically: readers see the old file or the complete new one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def write_atomic(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file that replaces `path` on success and is deleted on an error. OSError if writing fails."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text_atomic(path: Path, text: str) -> None:
    """Writes `text` as UTF-8 with write_atomic."""
    with write_atomic(path) as file:
        file.write(text.encode())
