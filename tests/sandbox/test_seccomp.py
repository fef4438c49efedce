import ctypes
import os
import platform
import struct
import subprocess
import sys

import pytest

from codex_jax.sandbox.seccomp import ABSENT, ALLOW, ARCHITECTURES, FAIL, KILL, build_filter
from codex_jax.sandbox.syscalls import ALLOWED, CHECKED, CUTTING, LEAVING, NO_MAPS, UNKNOWN
from tests.sandbox.denied import DENIED

TRY = """
import ctypes, os, platform, sys
from codex_jax.sandbox.confine import PR_SET_NO_NEW_PRIVS, prctl
from codex_jax.sandbox.seccomp import Filter, build_filter
prctl(PR_SET_NO_NEW_PRIVS, 1)
Filter(build_filter(platform.machine())).install(ctypes.CDLL(None, use_errno=True))
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
try:
    os.fork()
    sys.exit("fork")
except PermissionError:
    pass
import threading
failed = []
def in_a_thread():
    try:
        os.kill(os.getppid(), 0)
    except PermissionError:
        failed.append(7)
thread = threading.Thread(target=in_a_thread)
thread.start()
thread.join()
sys.exit(failed != [7])
"""


def run_filter(code, architecture, number, *arguments):
    """What the kernel's BPF machine would return."""
    data = struct.pack("<iIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    at, value = 0, 0
    while True:
        operation, if_true, if_false, k = struct.unpack_from("<HBBI", code, at * 8)
        at += 1
        if operation == 0x20:
            (value,) = struct.unpack_from("<I", data, k)
        elif operation == 0x05:
            at += k
        elif operation == 0x06:
            return k
        else:
            held = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[operation]
            at += if_true if held else if_false


def numbers(table, machine):
    column = ARCHITECTURES[machine][0]
    return {entry[column] for entry in table if entry[column] is not None}


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_allows_those_and_no_others(machine):
    architecture = ARCHITECTURES[machine][1]
    code = build_filter(machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096  # the kernel's limit
    allowed = numbers(ALLOWED.values(), machine)
    checked = numbers((entry for entry, _ in CHECKED.values()), machine)
    absent = numbers(UNKNOWN.values(), machine)
    assert len(allowed) + len(checked) + len(absent) == len(allowed | checked | absent)
    for number in set(range(-1, 600)) - checked:
        expected = ALLOW if number in allowed else ABSENT if number in absent else FAIL
        assert run_filter(code, architecture, number) == expected
    assert run_filter(code, architecture, 0x40000000 + 62) == FAIL
    assert run_filter(code, 0x40000003, 37) == KILL  # i386's kill, under its own numbers
    without = LEAVING | CUTTING
    fewer = build_filter(machine, without, CHECKED | NO_MAPS)
    closed, maps = numbers(map(ALLOWED.get, without), machine), numbers([ALLOWED["mmap"]], machine)
    assert len(closed) >= 4
    for number in set(range(-1, 600)) - maps:
        expected = FAIL if number in closed else run_filter(code, architecture, number)
        assert run_filter(fewer, architecture, number) == expected
    for (number,) in [maps]:
        assert run_filter(fewer, architecture, number, 0, 4096, 3, 0x22, -1 & 0xFFFFFFFFFFFFFFFF) == ALLOW
        assert run_filter(fewer, architecture, number, 0, 4096, 1, 2, 5) == FAIL  # of a file


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_must_be_denied_is(machine):
    column, architecture = ARCHITECTURES[machine]
    code = build_filter(machine)
    assert {name for name, entry in DENIED.items() if run_filter(code, architecture, entry[column]) != FAIL} == set()


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "arguments", "allowed"),
    [
        ("clone", (0x3D0F00,), True),  # a thread
        ("clone", (0x7D0F00,), True),
        ("clone", (17,), False),  # fork
        ("clone", (0x4111,), False),  # vfork
        ("clone", (0x3D0F00 | 1 << 28,), False),  # a thread in a user namespace
        ("openat", (0, 0, 0o100002), True),
        ("openat", (0, 0, 0o20200002), False),  # a file without a name
        ("open", (0, 0o20200002), False),
        ("fcntl", (0, 1030), True),
        ("fcntl", (0, 8, 1), False),  # F_SETOWN
        ("fcntl", (0, 10, 1), False),  # F_SETSIG
        ("fcntl", (0, 1031, 1), False),  # F_SETPIPE_SZ
        ("ioctl", (0, 0x5401), True),
        ("ioctl", (0, 0x5412), False),  # TIOCSTI: types into a terminal
        ("ioctl", (0, 0x8901), False),  # FIOSETOWN
        ("socketpair", (1, 1, 0), True),
        ("socketpair", (1, 1 | 1 << 11 | 1 << 19, 0), True),
        ("socketpair", (1, 2, 0), False),  # datagrams
        ("socketpair", (2, 1, 0), False),
        ("socketpair", (1, 1, 1), False),
        ("sendto", (3, 4096, 1, 0, 0), True),
        ("sendto", (3, 4096, 1, 0, 4096), False),  # to an address
        ("sendto", (3, 4096, 1, 0, 1 << 32), False),
        ("prctl", (15,), True),
        ("prctl", (4, 1), False),  # dumpable
        ("prctl", (22, 0), False),  # seccomp
        ("prlimit64", (0, 7, 0), True),
        ("prlimit64", (1, 7, 0), False),
        ("prlimit64", (0, 7, 4096), False),
        ("prlimit64", (0, 7, 1 << 32), False),
    ],
)
def test_arguments_are_looked_at(machine, name, arguments, allowed):
    column, architecture = ARCHITECTURES[machine]
    number = CHECKED[name][0][column]
    if number is not None:
        assert run_filter(build_filter(machine), architecture, number, *arguments) == (ALLOW if allowed else FAIL)


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
