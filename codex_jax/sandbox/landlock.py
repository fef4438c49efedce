"""Landlock rules: a program can read Python's library, write its scratch folder, and access no other file.

On newer kernels, the rules also deny TCP, and abstract sockets of and signals to other processes.
"""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from codex_jax.sandbox.libc import LIBC, syscall

CREATE, ADD_RULE, RESTRICT = 444, 445, 446  # system calls, with the same numbers on every machine
VERSION_FLAG, PATH_BENEATH = 1, 1
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
READ = EXECUTE | READ_FILE | READ_DIR
DEVICE = READ_FILE | WRITE_FILE
DEVICES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")
# Number of file rights by interface version: 13 in version 1; versions 2, 3 and 5 add REFER, TRUNCATE and IOCTL_DEV.
FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
LATEST_FILE_RIGHTS = 16
TRUNCATE_VERSION = 3  # the first version that can deny truncating a file by its path
NETWORK, SCOPES = (4, 0b11), (6, 0b11)  # (first version, all rights): bind and connect; abstract sockets and signals


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 if it has none."""
    return max(0, LIBC.syscall(CREATE, None, 0, VERSION_FLAG))


def make_ruleset(
    scratch: str, readable: Iterable[Path | str], devices: Iterable[str] = DEVICES, others: Iterable[str] = ()
) -> int:
    """Returns the descriptor of a ruleset that allows full access to scratch and read access to the readable paths.

    devices: files that may be read and written. others: more folders with full access.

    After an OSError, some descriptors stay open, so the process must exit.
    """
    version = landlock_version()
    all_rights = (1 << FILE_RIGHTS.get(version, LATEST_FILE_RIGHTS)) - 1
    attribute = struct.pack("<Q", all_rights)
    for first_version, denied in (NETWORK, SCOPES):
        if version >= first_version:
            attribute += struct.pack("<Q", denied)
    ruleset = syscall("Landlock", CREATE, attribute, len(attribute), 0)
    full = ((path, all_rights) for path in (scratch, *others))
    allowed = [*full, *((str(path), READ) for path in readable), *((name, DEVICE) for name in devices)]
    for path, rights in allowed:
        try:
            descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
        except OSError:
            continue  # the path is missing or inaccessible to this user, so there is nothing to allow
        if not os.path.isdir(path):
            rights &= ~READ_DIR  # which the kernel refuses for a file
        rule = struct.pack("<Qi", rights & all_rights, descriptor)
        syscall("Landlock", ADD_RULE, ruleset, PATH_BENEATH, rule, 0)
        os.close(descriptor)
    return ruleset


def enforce_ruleset(ruleset: int) -> None:
    """Applies the ruleset to this process permanently and closes it; needs PR_SET_NO_NEW_PRIVS."""
    syscall("Landlock", RESTRICT, ruleset, 0)
    os.close(ruleset)
