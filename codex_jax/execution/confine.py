"""What a program may do: the one place where limits are laid on, before its first line runs.

Here: a session of its own, no descriptors but its two pipes, no environment, a scratch folder, limits on CPU time,
memory, file size and processes, no new privileges, no signals, sockets or exec, no files but Python's
library (where the kernel has Landlock), and where we are root a user id of the worker's own.
"""

import ctypes
import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass

from codex_jax.execution.landlock import readable, restrict_files
from codex_jax.execution.seccomp import deny_system_calls

FIRST_USER, USERS = 61_184, 4_335  # of nobody's: the range that systemd gives out for a service's lifetime
PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 4, 36, 38


@dataclass(frozen=True)
class Limits:
    """cpu: seconds; memory: bytes of address space; file: bytes a file; processes: of the user."""

    cpu: int = 4
    memory: int = 1 << 30
    file: int = 16 << 20
    processes: int = 64
    descriptors: int = 32


def own_user() -> int:
    """A user id that no other live worker has, so that programs of two workers cannot signal each other."""
    return FIRST_USER + os.getpid() % USERS


def prctl(option: int, value: int) -> None:
    """Linux's prctl; OSError where it is refused."""
    if _LIBC.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl {option}")


_LIBC = ctypes.CDLL(None, use_errno=True)
_READABLE = readable()


def keep_descriptors(kept: Iterable[int]) -> None:
    """Standard streams become /dev/null, and all others but these are closed."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    start = 3
    for descriptor in sorted(kept):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, resource.getrlimit(resource.RLIMIT_NOFILE)[0])


def confine(limits: Limits, scratch: str, kept: Iterable[int], user: int) -> None:
    """Lays all limits on this process, for good; OSError where one cannot be laid, and then nothing may run."""
    os.setsid()
    keep_descriptors(kept)
    os.environ.clear()
    os.chdir(scratch)
    for name, value in (
        (resource.RLIMIT_CPU, limits.cpu),
        (resource.RLIMIT_AS, limits.memory),
        (resource.RLIMIT_DATA, limits.memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_NPROC, limits.processes),
        (resource.RLIMIT_NOFILE, limits.descriptors),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(name)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (value, value))
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    restrict_files(_LIBC, scratch, _READABLE)
    deny_system_calls(_LIBC)


def protect() -> None:
    """Keeps programs of the same user from tracing this process or writing its memory."""
    prctl(PR_SET_DUMPABLE, 0)
