import ctypes
import os
import platform
import struct
import subprocess
import sys

import pytest

from codex_jax.sandbox.seccomp import ARGUMENT_RULES, NO_FILE_MAPPING, REMOVING, SYSTEM_CALLS, TRUNCATING, build_filter
from tests.sandbox.denied import DENIED

# SECCOMP_RET_*, with EPERM, ENOSYS and no error
ALLOW, KILL, FAIL, ABSENT, SUCCEED = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026, 0x00050000
COLUMN = {"x86_64": 0, "aarch64": 1}
AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
TRY = """
import ctypes, os, platform, sys
from codex_jax.sandbox.libc import PR_SET_NO_NEW_PRIVS, prctl
from codex_jax.sandbox.seccomp import SystemCallFilter, build_filter
prctl(PR_SET_NO_NEW_PRIVS, 1)
SystemCallFilter(build_filter(platform.machine())).install()
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
    """What the kernel's BPF interpreter would return."""
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


def numbers(machine, action):
    """The numbers of the calls with this action in the table."""
    column = COLUMN[machine]
    return {call.numbers[column] for call in SYSTEM_CALLS if call.action == action} - {None}


def number_of(machine, name):
    (call,) = [call for call in SYSTEM_CALLS if call.name == name]
    return call.numbers[COLUMN[machine]]


@pytest.mark.parametrize("machine", COLUMN)
def test_the_filter_allows_the_calls_in_the_table_and_no_others(machine):
    code = build_filter(machine)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096  # the kernel's limit
    answers = {"allow": ALLOW, "absent": ABSENT, "succeed": SUCCEED}
    expected = {number: answer for action, answer in answers.items() for number in numbers(machine, action)}
    with_rules = numbers(machine, "arguments")
    assert len([c for c in SYSTEM_CALLS if c.numbers[COLUMN[machine]] is not None]) == len(expected) + len(with_rules)
    for number in set(range(-1, 600)) - with_rules:
        assert run_filter(code, AUDIT_ARCH[machine], number) == expected.get(number, FAIL)
    assert run_filter(code, AUDIT_ARCH[machine], 0x40000000 + 62) == FAIL
    assert run_filter(code, 0x40000003, 37) == KILL  # i386's kill, by i386's number


@pytest.mark.parametrize("machine", COLUMN)
def test_layers_can_deny_more_calls_and_arguments(machine):
    names = ("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "truncate")
    code = build_filter(machine)
    stricter = build_filter(machine, REMOVING | TRUNCATING, ARGUMENT_RULES | NO_FILE_MAPPING)
    denied, mmap = {number_of(machine, name) for name in names}, number_of(machine, "mmap")
    for number in set(range(-1, 600)) - {mmap}:
        expected = FAIL if number in denied else run_filter(code, AUDIT_ARCH[machine], number)
        assert run_filter(stricter, AUDIT_ARCH[machine], number) == expected
    assert run_filter(stricter, AUDIT_ARCH[machine], mmap, 0, 4096, 3, 0x22, -1 & 0xFFFFFFFFFFFFFFFF) == ALLOW
    assert run_filter(stricter, AUDIT_ARCH[machine], mmap, 0, 4096, 1, 2, 5) == FAIL  # of a file


@pytest.mark.parametrize("machine", COLUMN)
def test_dangerous_calls_are_denied(machine):
    code, column = build_filter(machine), COLUMN[machine]
    assert {n for n, entry in DENIED.items() if run_filter(code, AUDIT_ARCH[machine], entry[column]) != FAIL} == set()


@pytest.mark.parametrize("machine", COLUMN)
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
        ("prlimit64", (0, 7, 4096), True),  # its own limits, which the kernel lets nobody raise above the hard ones
        ("prlimit64", (1, 7, 4096), False),  # another process's
        ("chmod", (4096, 0o644), True),
        ("chmod", (4096, 0o4755), False),
        ("fchmod", (3, 0o2755), False),
        ("fchmodat", (0, 4096, 0o755), True),
        ("fchmodat", (0, 4096, 0o6755), False),
    ],
)
def test_rules_for_arguments(machine, name, arguments, allowed):
    number = number_of(machine, name)
    if number is not None:
        expected = ALLOW if allowed else FAIL
        assert run_filter(build_filter(machine), AUDIT_ARCH[machine], number, *arguments) == expected


def test_an_unknown_machine_is_refused():
    with pytest.raises(OSError, match="no system call filter"):
        build_filter("pdp11")


def test_an_installed_filter_denies_calls_in_all_threads():
    done = subprocess.run([sys.executable, "-c", TRY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="checks this machine's own numbers")
def test_numbers_are_those_of_this_kernel():
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(DENIED["kill"][0], os.getpid(), 0) == 0
    assert libc.syscall(DENIED["pidfd_open"][0], -1, 0) == -1
