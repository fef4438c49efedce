import ctypes
import os
import platform
import struct
import subprocess
import sys

import pytest

from codex_jax.execution.seccomp import ALLOW, ARCHITECTURES, DENIED, FAIL, KILL, build_filter

TRY = """
import ctypes, os, sys
from codex_jax.execution.confine import PR_SET_NO_NEW_PRIVS, prctl
from codex_jax.execution.seccomp import deny_system_calls
prctl(PR_SET_NO_NEW_PRIVS, 1)
deny_system_calls(ctypes.CDLL(None, use_errno=True))
calls = {
    "kill": lambda: os.kill(os.getppid(), 0),
    "kill_all": lambda: os.kill(-1, 0),
    "exec": lambda: os.execv("/bin/true", ["true"]),
    "socket": lambda: __import__("socket").socket(),
    "affinity": lambda: os.sched_setaffinity(0, {0}),
    "chroot": lambda: os.chroot("/"),
}
for name, call in calls.items():
    try:
        call()
    except PermissionError:
        continue
    sys.exit(name)
os.getpid(), open("/dev/null").close()
if os.fork() == 0:
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        os._exit(7)
    os._exit(0)
sys.exit(os.waitstatus_to_exitcode(os.wait()[1]) != 7)
"""


def run_filter(code, architecture, number):
    """What the kernel's BPF machine would return."""
    at, value = 0, 0
    while True:
        operation, if_true, if_false, k = struct.unpack_from("<HBBI", code, at * 8)
        at += 1
        if operation == 0x20:
            value = {0: number, 4: architecture}[k]
        elif operation == 0x06:
            return k
        else:
            at += if_true if (value == k if operation == 0x15 else value >= k) else if_false


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_denies_those_and_no_others(machine):
    column, architecture = ARCHITECTURES[machine]
    code = build_filter(machine)
    denied = {numbers[column] for numbers in DENIED.values()}
    for number in range(600):
        assert run_filter(code, architecture, number) == (FAIL if number in denied else ALLOW)
    assert run_filter(code, architecture, 0x40000000 + 62) == FAIL
    assert run_filter(code, 0x40000003, 37) == KILL  # i386's kill, under its own numbers


def test_unknown_machine_is_refused():
    with pytest.raises(OSError, match="no system call filter"):
        build_filter("pdp11")


def test_calls_fail_for_a_process_and_its_children():
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="checks this machine's own numbers")
def test_numbers_are_the_kernels():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(DENIED["kill"][0], os.getpid(), 0) == 0
    assert libc.syscall(DENIED["pidfd_open"][0], -1, 0) == -1
