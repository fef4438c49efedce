"""What a program may do: the one place where limits are laid on, before its first line runs.

Here: a session of its own, no descriptors but its two pipes, no environment, a scratch folder, a limit on CPU time
(those on memory, file size and threads are the fork server's own), no new privileges and no capabilities, no files but
Python's library (Landlock, or a root of its own), only the system calls it needs, and where we are root a user id of
the worker's own.
"""

import fcntl
import os
import platform
import resource
import signal
from dataclasses import dataclass
from pathlib import Path

from codex_jax.sandbox.landlock import CUTS, enforce, make_rules, version
from codex_jax.sandbox.layers import Layer, null_streams
from codex_jax.sandbox.libc import (
    LIBC,
    PR_SET_CHILD_SUBREAPER,
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    drop_capabilities,
    prctl,
)
from codex_jax.sandbox.namespaces import SCRATCH_PARENT
from codex_jax.sandbox.rlimits import set_limit
from codex_jax.sandbox.seccomp import Filter, build_filter
from codex_jax.sandbox.syscalls import CHECKED, CUTTING, LEAVING, NO_MAPS

__all__ = ["PR_SET_CHILD_SUBREAPER", "PR_SET_DUMPABLE", "PR_SET_NO_NEW_PRIVS", "Confinement", "prctl", "protect"]

CALLS, REPLIES, RULES = 3, 4, 5  # a program's descriptors, the last until the rules are laid


@dataclass
class Confinement:
    """All that a fork server prepares once. user: for the program, where we are root and in no namespaces.

    counted: whether the server can look at the program's descriptors.
    """

    layer: Layer
    user: int | None
    read: list[Path]
    counted: bool = True

    def __post_init__(self) -> None:
        known = version(LIBC)
        without = set() if self.layer.namespaces or self.counted else set(LEAVING)
        if self.layer.landlock and known < CUTS:
            without |= CUTTING
        checked = CHECKED if self.layer.namespaces else CHECKED | NO_MAPS
        if self.layer.seccomp:
            self._filter = Filter(build_filter(platform.machine(), without, checked))
        self._landlock = self.layer.seccomp and known > 0
        # A new scratch folder is mounted on the same place each time, so rules on what is above it hold for all.
        self._rules = make_rules(LIBC, SCRATCH_PARENT, self.read) if self._landlock and self.layer.namespaces else -1
        if self.layer.landlock and not self._landlock:
            raise OSError("this kernel has no Landlock")

    def lay(self, cpu: float, scratch: str, calls: int, replies: int) -> None:
        """Confines this process, for good; OSError where something cannot be done, and then nothing may run.

        cpu: seconds after which the kernel ends it, rounded up; the other limits are those of the fork server.
        """
        os.setsid()
        os.umask(0o22)
        os.chdir(scratch)
        rules = self._rules
        if self._landlock and rules < 0 and not self.layer.chroot:
            rules = make_rules(LIBC, scratch, self.read)
        self._keep(calls, replies, rules)
        if self.layer.chroot:
            os.chroot(".")
        set_limit(resource.RLIMIT_CPU, int(cpu) + 1)
        if self.user is not None:
            os.setgroups([])
            os.setresgid(self.user, self.user, self.user)
            os.setresuid(self.user, self.user, self.user)
        if not self.layer.namespaces:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            prctl(PR_SET_DUMPABLE, 1)  # for the server, as no program can look at another's descriptors
        if not self.layer.seccomp:
            return
        drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if rules >= 0:
            enforce(LIBC, RULES)
        self._filter.install(LIBC)

    @staticmethod
    def _keep(calls: int, replies: int, rules: int) -> None:
        """Standard streams are a /dev/null of its own, as flags are of an open file; the rest goes to fixed numbers."""
        null_streams()
        # First above all of these numbers, as one may be another's target.
        given = [descriptor for descriptor in (calls, replies, rules) if descriptor >= 0]
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, RULES + 1) for descriptor in given]
        for target, descriptor in enumerate(high, CALLS):
            os.dup2(descriptor, target)
        os.closerange(CALLS + len(high), os.sysconf("SC_OPEN_MAX"))


def protect() -> None:
    """Keeps programs of the same user from tracing this process or writing its memory."""
    prctl(PR_SET_DUMPABLE, 0)
