"""Landlock: a program reads Python's own library and writes its scratch folder, and nothing else on disk."""

import ctypes
import errno
import os
import struct
import sysconfig
from collections.abc import Iterable
from pathlib import Path

CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # system calls, the same on every machine
VERSION_FLAG, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE
# How many of the file rights each version of the interface knows: 13, then REFER, TRUNCATE and IOCTL_DEV.
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
LATEST = 16


def version(libc: ctypes.CDLL) -> int:
    """The kernel's Landlock interface, or 0 where it has none."""
    return max(0, libc.syscall(CREATE, None, 0, VERSION_FLAG))


def readable() -> list[Path]:
    """Python's standard library and the system's shared ones; packages beside a virtual environment are not there."""
    library = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    shared = [Path("/lib64"), *Path("/usr/lib").glob("*-linux-gnu"), *Path("/lib").glob("*-linux-gnu")]
    return [path for path in dict.fromkeys(library + shared) if path.exists()]


def restrict_files(libc: ctypes.CDLL, scratch: str, read: Iterable[Path]) -> bool:
    """Closes all but scratch and what may be read, for good; False where the kernel has no Landlock.

    Needs PR_SET_NO_NEW_PRIVS; OSError where a rule is refused.
    """
    known = version(libc)
    if not known:
        return False
    every = (1 << RIGHTS.get(known, LATEST)) - 1
    attribute = struct.pack("<Q", every)
    rules = _checked(libc, libc.syscall(CREATE, attribute, len(attribute), 0))
    try:
        allowed = [(scratch, every), *((str(path), READ) for path in read)]
        allowed += [(f"/dev/{name}", DEVICE) for name in ("null", "zero", "urandom")]
        for path, rights in allowed:
            try:
                beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not there, or not for this user: then there is nothing to allow
            try:
                rule = struct.pack("<Qi", rights & every, beneath)
                _checked(libc, libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0))
            finally:
                os.close(beneath)
        _checked(libc, libc.syscall(RESTRICT, rules, 0))
    finally:
        os.close(rules)
    return True


def _checked(libc: ctypes.CDLL, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"Landlock: {errno.errorcode.get(number, number)}")
    return result
