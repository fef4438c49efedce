"""Landlock: a program reads Python's own library and writes its scratch folder, and nothing else on disk.

Newer kernels also keep it from TCP, from others' abstract sockets and from signals to others.
"""

import ctypes
import os
import struct
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from codex_jax.sandbox.libc import checked

CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # system calls, the same on every machine
VERSION_FLAG, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
# How many of the file rights each version of the interface knows: 13, then REFER, TRUNCATE and IOCTL_DEV.
RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
LATEST = 16
CUTS = 3  # the first version that keeps a file from being cut short by its path
NETWORK, SCOPES = (4, 0b11), (6, 0b11)  # from this version on, all there is: bind and connect; sockets and signals


def version(libc: ctypes.CDLL) -> int:
    """The kernel's Landlock interface, or 0 where it has none."""
    return max(0, libc.syscall(CREATE, None, 0, VERSION_FLAG))


def shared_libraries() -> list[Path]:
    """The system's, without Python's."""
    shared = [Path("/lib64"), *Path("/usr/lib").glob("*-linux-gnu"), *Path("/lib").glob("*-linux-gnu")]
    return [path for path in dict.fromkeys(shared) if path.exists()]


def readable() -> list[Path]:
    """Python's standard library and the system's shared ones; packages beside a virtual environment are not there."""
    library = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    return [*(path for path in dict.fromkeys(library) if path.exists()), *shared_libraries()]


def make_rules(libc: ctypes.CDLL, scratch: str, read: Iterable[Path]) -> int:
    """A descriptor of rules that open scratch and what may be read; OSError where one is refused."""
    known = version(libc)
    every = (1 << RIGHTS.get(known, LATEST)) - 1
    attribute = struct.pack("<Q", every)
    for since, handled in (NETWORK, SCOPES):
        if known >= since:
            attribute += struct.pack("<Q", handled)
    rules = checked(libc.syscall(CREATE, attribute, len(attribute), 0), "Landlock")
    try:
        allowed = [(scratch, every), *((str(path), READ) for path in read), *((name, DEVICE) for name in DEVICES)]
        for path, rights in allowed:
            try:
                beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            except OSError:
                continue  # not there, or not for this user: then there is nothing to allow
            try:
                rule = struct.pack("<Qi", rights & every, beneath)
                checked(libc.syscall(ADD_RULE, rules, PATH_BENEATH, rule, 0), "Landlock")
            finally:
                os.close(beneath)
    except BaseException:
        os.close(rules)
        raise
    return rules


def enforce(libc: ctypes.CDLL, rules: int) -> None:
    """Lays the rules on this process, for good, and closes them; needs PR_SET_NO_NEW_PRIVS."""
    try:
        checked(libc.syscall(RESTRICT, rules, 0), "Landlock")
    finally:
        os.close(rules)
