"""Writes files atomically: readers see the old file or the complete new one."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def write_atomic(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file that replaces `path` on success and is deleted on an error. OSError if writing fails.

    Nobody can foresee the temporary name, and "x" opens no existing file or link. A link at `path` is replaced itself.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            with suppress(OSError):  # a file that is replaced keeps its permissions
                os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
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
