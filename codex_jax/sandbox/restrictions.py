"""Restricts a program's process before the program's first line runs.

The process gets its own session and, under root, its own user id. It can use two pipes and no other descriptors, no
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
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.imports import FOLDER
from codex_jax.sandbox.landlock import DEVICES, TRUNCATE_VERSION, enforce_ruleset, landlock_version, make_ruleset
from codex_jax.sandbox.layers import Layer
from codex_jax.sandbox.libc import (
    PR_SET_DUMPABLE,
    PR_SET_NO_NEW_PRIVS,
    PR_SET_PDEATHSIG,
    drop_capabilities,
    prctl,
)
from codex_jax.sandbox.namespaces import SCRATCH_PARENT
from codex_jax.sandbox.seccomp import (
    ARGUMENT_RULES,
    CHANGING,
    NO_FILE_MAPPING,
    REMOVING,
    TIMES_BY_DESCRIPTOR,
    TRUNCATING,
    ArgumentRules,
    SystemCallFilter,
    build_filter,
    supervised_rules,
)
from codex_jax.sandbox.supervisor import MAKING_PAIRS, PAIRS, may_listen

CALLS, REPLIES = 3, 4  # a program's descriptors, after the standard streams
FIRST_OWN = 6  # the fork server's own descriptors; the numbers below are those of programs, with a Landlock ruleset
OTHER_TASKS = 1024  # processes and threads allowed in addition to one program's, if the user is not root
CAP_SYS_CHROOT = 18
SPARE_CPU = 60  # seconds
CLOCK_OF_PROCESS = 2  # the low bits of a process's CPU clock id


@dataclass(frozen=True)
class ServerConfig:
    """The configuration of a fork server."""

    layer: Layer
    policy: Policy
    packages: Mapping[str, str]  # installed packages that programs may import, from find_packages
    user: int | None  # the programs' user id, if the server runs as root without namespaces
    chroot: bool  # whether programs get a root of their own, which is possible for root
    readable: dict[str, str]  # paths that programs may read, by the path there
    max_tasks: int  # limit on processes and threads of the programs' user, including those of other programs


class Restrictions:
    """The restrictions of one fork server's programs, prepared once and applied in each program's process.

    supervised: whether their filters have a listener (see supervisor.py); descriptors: limit on open files.
    listener: its number in the program, which cannot use it, but from which the fork server can fetch it.
    """

    def __init__(self, config: ServerConfig, sees_descriptors: bool = True) -> None:
        """sees_descriptors: whether the fork server can list a program's open files. OSError if the layer fails."""
        self._config, layer = config, config.layer
        self.descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.listener = self.descriptors - PAIRS - 1
        self.supervised = False
        if layer.seccomp:
            machine = platform.machine()
            self.supervised = may_listen()
            calls = (MAKING_PAIRS if layer.namespaces else (*MAKING_PAIRS, "clone")) if self.supervised else ()
            code = build_filter(machine, self._denied(sees_descriptors), self._rules(), calls)
            self._filter = SystemCallFilter(code)
        self._landlock = layer.seccomp and not layer.chroot and landlock_version() > 0
        # With namespaces, every scratch folder has the same path, so one ruleset for its parent serves all programs.
        shared = self._landlock and layer.namespaces
        self._ruleset = make_ruleset(SCRATCH_PARENT, [*config.readable, FOLDER]) if shared else -1
        if layer.landlock and not self._landlock:
            raise OSError("this kernel has no Landlock")

    def _denied(self, sees_descriptors: bool) -> frozenset[str]:
        """Calls that fail in this layer although the table allows them."""
        layer = self._config.layer
        denied: frozenset[str] = frozenset() if layer.namespaces or sees_descriptors else REMOVING
        if layer.landlock and not self._config.chroot:
            denied |= CHANGING
        if layer.landlock and landlock_version() < TRUNCATE_VERSION:
            denied |= TRUNCATING
        return denied

    def _rules(self) -> dict[str, ArgumentRules]:
        rules = dict(ARGUMENT_RULES)
        if not self._config.layer.namespaces:
            rules |= NO_FILE_MAPPING
        if self._config.layer.landlock and not self._config.chroot:
            rules |= TIMES_BY_DESCRIPTOR
        if self.supervised:
            rules |= supervised_rules(self.listener)
        return rules

    def prepare(self, scratch: str, root: str, calls: int, replies: int) -> None:
        """Prepares the fork server, before a fork, for a program with these pipes, which are closed here.

        Gives the server the program's working directory, and lays the program's descriptors out.
        """
        os.chdir(scratch)
        ruleset = self._ruleset
        if self._landlock and ruleset < 0:
            devices = [root + device for device in DEVICES] if self._config.chroot else DEVICES
            ruleset = make_ruleset(scratch, self._config.readable, devices)
        null = os.open(os.devnull, os.O_RDWR)  # anew, because processes that share an open file also share its flags
        used = [null] * CALLS + [calls, replies] + ([ruleset] if self._landlock else [])
        for number, descriptor in enumerate(used):
            os.dup2(descriptor, number)
        for descriptor in {null, calls, replies, ruleset} - {self._ruleset}:
            os.close(descriptor)

    def apply(self, cpu_seconds: float, root: str) -> None:
        """Restricts this process, which the prepared server forked, permanently; it must exit after an OSError.

        cpu_seconds: the kernel's limit, which is well above the fork server's, as that may move. root: the program's
        root, if it has one of its own.
        """
        layer, user = self._config.layer, self._config.user
        os.setsid()
        os.umask(0o22)
        os.closerange(REPLIES + 1 + self._landlock, self.descriptors)
        if self._config.chroot:
            os.chroot(root)
        set_limit(resource.RLIMIT_CPU, int(cpu_seconds) + SPARE_CPU)
        # Not set in the fork server, where the threads of other workers' programs could then prevent it from forking.
        set_limit(resource.RLIMIT_NPROC, self._config.max_tasks)
        if user is not None:
            os.setgroups([])
            os.setresgid(user, user, user)
            os.setresuid(user, user, user)
        # Lets the fork server, but no program, list this process's files and write its memory.
        prctl(PR_SET_DUMPABLE, 1)
        if not layer.namespaces:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if not layer.seccomp:
            return
        drop_capabilities()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        if self._landlock:
            enforce_ruleset(REPLIES + 1)
        if self.supervised:
            listener = self._filter.install_listener(platform.machine())
            os.dup2(listener, self.listener)
            os.close(listener)
        else:
            self._filter.install()


def reserve_descriptors(channel: int) -> int:
    """Fills the numbers of programs' descriptors, moves a fork server's channel above them and closes all others."""
    moved = fcntl.fcntl(channel, fcntl.F_DUPFD, FIRST_OWN)
    null = os.open(os.devnull, os.O_RDWR)
    for number in range(FIRST_OWN):
        os.dup2(null, number)
    os.closerange(FIRST_OWN, moved)
    os.closerange(moved + 1, os.sysconf("SC_OPEN_MAX"))
    return moved


def release_descriptors() -> None:
    """Closes the server's ends of a program's pipes, and keeps their numbers filled."""
    for number in (CALLS, REPLIES):
        os.dup2(0, number)


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


def may_chroot() -> bool:
    """Whether this process is root and has the capability to change its root."""
    status = Path("/proc/self/status").read_text()
    capabilities = int(status.partition("CapEff:")[2].split()[0], 16)
    return os.geteuid() == 0 and bool(capabilities >> CAP_SYS_CHROOT & 1)


def cpu_time(pid: int) -> float:
    """CPU seconds used by all threads of a process, which may be a zombie."""
    return time.clock_gettime(~pid << 3 | CLOCK_OF_PROCESS)
