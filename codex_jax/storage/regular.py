"""Opens regular files only: a link could lead elsewhere, and a pipe or device could block or never end."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO, cast

FLAGS = {"rb": os.O_RDONLY, "a+b": os.O_RDWR | os.O_APPEND | os.O_CREAT}


def open_regular(path: Path | str, mode: str = "rb") -> BinaryIO:
    """As open(path, mode) for a mode of FLAGS, unbuffered. OSError for a link, a folder, a pipe or a device."""
    try:
        # O_NONBLOCK: opening a pipe would wait for its other end.
        number = os.open(path, FLAGS[mode] | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(errno.ELOOP, "it is a link", str(path)) from None
        raise
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return cast(BinaryIO, os.fdopen(number, mode, buffering=0))
