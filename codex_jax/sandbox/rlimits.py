"""Limits on CPU time, memory, files, threads and descriptors, by the kernel's resource limits; and CPU time used."""

import os
import resource
import time

from codex_jax.sandbox.check import Policy

CLOCK_OF_PROCESS = 2  # the low bits of a process's CPU clock id


def set_limits(policy: Policy, others: int) -> None:
    """Limits this process and those it forks, for good; others: tasks of the user that are not the program's."""
    for name, value in (
        (resource.RLIMIT_AS, policy.memory),
        (resource.RLIMIT_DATA, policy.memory),
        (resource.RLIMIT_FSIZE, policy.file_size),
        (resource.RLIMIT_NPROC, policy.processes + others),
        (resource.RLIMIT_NOFILE, policy.descriptors),
        (resource.RLIMIT_MEMLOCK, 0),
        (resource.RLIMIT_MSGQUEUE, 0),
        (resource.RLIMIT_CORE, 1),  # byte: Linux gives a core to a program that takes them unless the limit is 1
    ):
        set_limit(name, value)


def set_limit(name: int, value: int) -> None:
    """Lays one on this process, for good; where it has a lower one, that stays."""
    hard = resource.getrlimit(name)[1]
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(name, (value, value))


def tasks_of_user() -> int:
    """How many processes and threads this user has: a limit on them counts these too."""
    user, count = os.geteuid(), 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.stat(f"/proc/{name}").st_uid == user:
                    count += len(os.listdir(f"/proc/{name}/task"))
            except OSError:  # gone
                continue
    return count


def cpu_seconds(pid: int) -> float:
    """CPU time that all threads of a process have had, also of one that has ended and was not waited for."""
    return time.clock_gettime(~pid << 3 | CLOCK_OF_PROCESS)
