"""Restricts a program's process before the program's first line runs.

The process gets its own session and, under root, its own user id. It has two pipes and no other descriptors, no
capabilities, and limits on CPU time, memory, files and threads. Landlock or a new root hides all files but Python's
library and the scratch folder, and seccomp allows only the system calls that Python needs.
"""

import contextlib
import fcntl
import os
import platform
import resource
import signal
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.landlock import TRUNCATE_VERSION, enforce_ruleset, landlock_version, make_ruleset
from codex_jax.sandbox.layers import Layer
from codex_jax.sandbox.libc import PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, PR_SET_PDEATHSIG, drop_capabilities, prctl
from codex_jax.sandbox.namespaces import SCRATCH_PARENT
from codex_jax.sandbox.seccomp import (
    ARGUMENT_RULES,
    NO_FILE_MAPPING,
    REMOVING,
    TRUNCATING,
    SystemCallFilter,
    build_filter,
)

FIRST_DESCRIPTOR = 3  # after the standard streams
CALLS, REPLIES, RULESET = 3, 4, 5  # a program's descriptors; the last is closed when Landlock is applied
SPARE_CPU = 60  # seconds
OTHER_TASKS = 256  # processes and threads allowed in addition to one program's, if the user is not root
CLOCK_OF_PROCESS = 2  # the low bits of a process's CPU clock id


@dataclass(frozen=True)
class ServerConfig:
    """The configuration of a fork server."""

    layer: Layer
    policy: Policy
    user: int | None  # the programs' user id, if the server runs as root without namespaces
    readable: list[Path]  # paths that programs may read
    max_tasks: int  # limit on processes and threads of the programs' user, including those of other programs


class Restrictions:
    """The restrictions of one fork server's programs, prepared once and applied in each program's process."""

    def __init__(self, config: ServerConfig, sees_descriptors: bool = True) -> None:
        """sees_descriptors: whether the fork server can list a program's open files. OSError if the layer fails."""
        self._config, layer = config, config.layer
        if layer.seccomp:
            denied: frozenset[str] = frozenset() if layer.namespaces or sees_descriptors else REMOVING
            if layer.landlock and landlock_version() < TRUNCATE_VERSION:
                denied |= TRUNCATING
            rules = ARGUMENT_RULES if layer.namespaces else ARGUMENT_RULES | NO_FILE_MAPPING
            self._filter = SystemCallFilter(build_filter(platform.machine(), denied, rules))
        self._landlock = layer.seccomp and landlock_version() > 0
        # With namespaces, every scratch folder has the same path, so one ruleset for its parent serves all programs.
        self._ruleset = make_ruleset(SCRATCH_PARENT, config.readable) if self._landlock and layer.namespaces else -1
        if layer.landlock and not self._landlock:
            raise OSError("this kernel has no Landlock")

    def apply(self, cpu_seconds: float, scratch: str, calls: int, replies: int) -> None:
        """Restricts this process permanently; it must exit after an OSError.

        cpu_seconds: the kernel's limit, which is well above the fork server's, as that may move.
        """
        layer, user = self._config.layer, self._config.user
        os.setsid()
        os.umask(0o22)
        os.chdir(scratch)
        ruleset = self._ruleset
        if self._landlock and ruleset < 0 and not layer.chroot:
            ruleset = make_ruleset(scratch, self._config.readable)
        move_descriptors([calls, replies, ruleset] if ruleset >= 0 else [calls, replies])
        if layer.chroot:
            os.chroot(".")
        set_limit(resource.RLIMIT_CPU, int(cpu_seconds) + SPARE_CPU)
        # Not set in the fork server, where the threads of other workers' programs could then prevent it from forking.
        set_limit(resource.RLIMIT_NPROC, self._config.max_tasks)
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        if not layer.namespaces:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            prctl(PR_SET_DUMPABLE, 1)  # lets the fork server, but no program, list this process's open files
        if not layer.seccomp:
            return
        drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if ruleset >= 0:
            enforce_ruleset(RULESET)
        self._filter.install()


def move_descriptors(descriptors: Iterable[int]) -> None:
    """Moves these to FIRST_DESCRIPTOR and up, opens /dev/null for the standard streams and closes all others.

    /dev/null is opened anew, because processes that share an open file also share its flags.
    """
    null = os.open(os.devnull, os.O_RDWR)
    sources = [null] * FIRST_DESCRIPTOR + list(descriptors)
    # Move to numbers above all targets first, because one descriptor's number may be the target of another.
    high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, len(sources)) for descriptor in sources]
    for target, descriptor in enumerate(high):
        os.dup2(descriptor, target)
    os.closerange(len(high), os.sysconf("SC_OPEN_MAX"))


def set_inherited_limits(policy: Policy) -> None:
    """Applies the policy's limits, except the one on processes, to this process and its children."""
    for name, value in (
        (resource.RLIMIT_AS, policy.memory),
        (resource.RLIMIT_DATA, policy.memory),
        (resource.RLIMIT_FSIZE, policy.file_size),
        (resource.RLIMIT_NOFILE, policy.descriptors),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_CORE, 1),  # with 0, Linux would still pass core dumps to a handler program
    ):
        set_limit(name, value)


def set_limit(name: int, value: int) -> None:
    """Sets a resource limit permanently. A limit that is already lower stays."""
    hard = resource.getrlimit(name)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(name, (value, value))


def max_tasks(policy: Policy) -> int:
    """The limit on the user's tasks (processes and threads) that leaves one program at least what its policy allows.

    The kernel counts tasks per user. Under root, programs have their own user or namespace.
    """
    user, count = os.geteuid(), policy.processes
    if user == 0:
        return count
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # the process has ended
            if folder.stat().st_uid == user:
                count += len(os.listdir(folder / "task"))
    return count + OTHER_TASKS


def cpu_time(pid: int) -> float:
    """CPU seconds used by all threads of a process, which may be a zombie."""
    return time.clock_gettime(~pid << 3 | CLOCK_OF_PROCESS)
