"""The seccomp filter allows only the system calls in syscalls.txt, so no signals, sockets, exec or tracing.

It is classic BPF, assembled here to avoid a dependency. It cannot be removed, and threads inherit it.
"""

import ctypes
import errno
import struct
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import NamedTuple

from codex_jax.sandbox.libc import PR_SET_SECCOMP, prctl, syscall

SECCOMP_MODE_FILTER, SECCOMP_SET_MODE_FILTER, NEW_LISTENER = 2, 1, 8
SECCOMP_CALL = 317, 277  # the system call's numbers
LOAD, JUMP, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06  # BPF opcodes
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # offsets in struct seccomp_data
ALLOW, KILL, NOTIFY, ERROR = 0x7FFF0000, 0x80000000, 0x7FC00000, 0x00050000
FAIL, ABSENT, SUCCEED = ERROR | errno.EPERM, ERROR | errno.ENOSYS, ERROR  # an error of 0 is success without effect
FOREIGN_ABI = 0x40000000  # x86's x32 calls start here; other machines have no numbers this high
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # (column in the table, AUDIT_ARCH)


class SystemCall(NamedTuple):
    """A line of syscalls.txt. numbers: on x86_64 and aarch64, None if the machine has no such call."""

    name: str
    numbers: tuple[int | None, ...]
    action: str


def _read_table() -> list[SystemCall]:
    lines = Path(__file__).with_name("syscalls.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    return [SystemCall(name, tuple(None if n == "-" else int(n) for n in pair), act) for name, *pair, act in rows]


SYSTEM_CALLS = _read_table()  # read on import, because the file is missing in the fork server's new root

# A rule is (argument, kind, values). All rules of a call must hold. Kinds:
#   in       the allowed values of the argument's low 32 bits
#   high     the allowed values of its high 32 bits
#   clear    bits that must be 0
#   outside  (low, high), a range that is not allowed
#   succeed  for these values, the call succeeds without effect
#   only     the rules that follow are for these values
ArgumentRules = tuple[tuple[int, str, tuple[int, ...]], ...]

# The clone flags with which glibc and musl (which adds one without effect) start threads. Others may start a process.
THREADS = (0x3D0F00, 0x7D0F00)
NO_NAME = 0x400000  # O_TMPFILE: an unnamed file would not count towards the scratch folder's size
# Locks succeed without effect: a program is one process, so nothing competes for its files. Real locks on the library's
# files would be seen by programs of other workers.
DUPLICATE, DESCRIPTOR_FLAGS, FILE_FLAGS, LOCKS, LOCK_OWNER = (0, 1030), (1, 2), (3, 4), (6, 7, 37, 38), (5, 36)
SET_ID = 0o6000  # the set-user-id and set-group-id bits
# A pair of stream sockets connects only its own two ends: bind, connect and sending descriptors are denied.
UNIX, STREAM = (1,), tuple(1 | nonblock | cloexec for nonblock in (0, 1 << 11) for cloexec in (0, 1 << 19))
TERMINAL, READABLE_BYTES, NONBLOCKING, CLOEXEC = (0x5401, 0x5413), (0x541B,), (0x5421,), (0x5450, 0x5451)
THREAD_NAME = (15, 16)
ARGUMENT_RULES: dict[str, ArgumentRules] = {
    "clone": ((0, "in", THREADS),),
    "open": ((1, "clear", (NO_NAME,)),),
    "openat": ((2, "clear", (NO_NAME,)),),
    # Excludes F_SETOWN and F_SETSIG, which send signals to other processes, and F_SETPIPE_SZ.
    "fcntl": ((1, "succeed", LOCKS), (1, "in", DUPLICATE + DESCRIPTOR_FLAGS + FILE_FLAGS + LOCK_OWNER)),
    "ioctl": ((1, "in", TERMINAL + READABLE_BYTES + NONBLOCKING + CLOEXEC),),
    "prctl": ((0, "in", THREAD_NAME),),
    "socketpair": ((0, "in", UNIX), (1, "in", STREAM), (2, "in", (0,))),
    "sendmsg": ((0, "in", ()),),
    "sendto": ((4, "in", (0,)), (4, "high", (0,))),  # the address must be a null pointer
    "prlimit64": ((0, "in", (0,)),),  # a process may read its own limits, and change them but not above the hard ones
    "chmod": ((1, "clear", (SET_ID,)),),
    "fchmod": ((1, "clear", (SET_ID,)),),
    "fchmodat": ((2, "clear", (SET_ID,)),),
}
# For a scratch folder on disk, deleted files are counted through the program's open descriptors. A mapped file needs no
# descriptor, so only anonymous memory (descriptor -1) may be mapped.
NO_FILE_MAPPING: dict[str, ArgumentRules] = {"mmap": ((4, "in", (0xFFFFFFFF,)),)}
# Denied if the program's descriptors cannot be listed, because a removed file would not be counted.
REMOVING = frozenset(("rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir"))
# Landlock does not restrict these. Without another root, programs change modes and times only through descriptors,
# which they can open only in their scratch folder.
CHANGING = frozenset(("chmod", "fchmodat"))
TIMES_BY_DESCRIPTOR: dict[str, ArgumentRules] = {"utimensat": ((1, "in", (0,)), (1, "high", (0,)))}
# Denied if Landlock cannot deny truncating a file by its path.
TRUNCATING = frozenset(("truncate",))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


RETURN_ALLOW, RETURN_FAIL, RETURN_ABSENT, RETURN_SUCCEED, RETURN_NOTIFY = (
    _instruction(RETURN, value) for value in (ALLOW, FAIL, ABSENT, SUCCEED, NOTIFY)
)


def _check_arguments(rules: ArgumentRules, passed: bytes) -> bytes:
    """BPF code that returns as in passed if every rule holds, else FAIL."""
    otherwise = {"only": RETURN_ALLOW}  # what is returned if the argument has none of the values
    code = b""
    for argument, kind, values in rules:
        code += _instruction(LOAD, ARGUMENTS_AT + 8 * argument + 4 * (kind == "high"))
        if kind == "clear":
            code += _instruction(JUMP_ANY_BIT, values[0], 0, 1) + RETURN_FAIL
        elif kind == "outside":
            low, high = values
            code += _instruction(JUMP_AT_LEAST, low, 0, 2) + _instruction(JUMP_AT_LEAST, high, 1) + RETURN_FAIL
        elif kind == "succeed":
            for value in values:
                code += _instruction(JUMP_EQUAL, value, 0, 1) + RETURN_SUCCEED
        else:
            for remaining, value in zip(range(len(values), 0, -1), values, strict=True):
                code += _instruction(JUMP_EQUAL, value, remaining)  # skips the remaining values and the return
            code += otherwise.get(kind, RETURN_FAIL)
    return code + passed


def column_of(machine: str) -> int:
    """The machine's column of numbers in the table; OSError if it has none. machine: from platform.machine()."""
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    return ARCHITECTURES[machine][0]


def supervised_rules(first: int) -> dict[str, ArgumentRules]:
    """Rules under which a program cannot tell the status of descriptors from first on, nor give them another number."""
    outside = first, 1 << 31  # larger numbers are negative
    return {
        **dict.fromkeys(("fstat", "newfstatat", "dup", "dup2", "dup3"), ((0, "outside", outside),)),
        "fcntl": (*ARGUMENT_RULES["fcntl"], (1, "only", DUPLICATE), (0, "outside", outside)),
    }


def build_filter(
    machine: str,
    denied: Collection[str] = (),
    rules: Mapping[str, ArgumentRules] = ARGUMENT_RULES,
    handed_over: Collection[str] = (),
) -> bytes:
    """The BPF program for platform.machine(); OSError if its system call numbers are unknown.

    denied: calls that fail although the table allows them; rules: the rules for arguments, by call; handed_over: calls
    that a listener answers if their arguments satisfy the rules.
    """
    column, architecture = column_of(machine), ARCHITECTURES[machine][1]
    actions = {"allow": RETURN_ALLOW, "absent": RETURN_ABSENT, "succeed": RETURN_SUCCEED}
    action_of = {}
    for name, numbers, listed in SYSTEM_CALLS:
        if name not in denied:
            passed = RETURN_NOTIFY if name in handed_over else actions.get(listed, RETURN_ALLOW)
            action_of[numbers[column]] = _check_arguments(rules[name], passed) if name in rules else passed
    # (first number, action) of each run of numbers with the same action.
    runs = [(0, RETURN_FAIL)]
    for number in range(max(number for number in action_of if number is not None) + 2):
        action = action_of.get(number, RETURN_FAIL)
        if action != runs[-1][1]:
            runs.append((number, action))
    code = _instruction(LOAD, ARCHITECTURE_AT) + _instruction(JUMP_EQUAL, architecture, 1) + _instruction(RETURN, KILL)
    code += _instruction(LOAD, NUMBER_AT) + _instruction(JUMP_AT_LEAST, FOREIGN_ABI, 0, 1) + RETURN_FAIL
    return code + _binary_search(runs)


def _binary_search(runs: list[tuple[int, bytes]]) -> bytes:
    """BPF code that bisects the runs. Speed matters, as the kernel tries every number when a filter is installed."""
    if len(runs) == 1:
        return runs[0][1]
    middle = len(runs) // 2
    low, high = _binary_search(runs[:middle]), _binary_search(runs[middle:])
    return _instruction(JUMP_AT_LEAST, runs[middle][0], 0, 1) + _instruction(JUMP, len(low) // 8) + low + high


class _FilterProgram(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


class SystemCallFilter:
    """A filter that is ready to be installed in many processes."""

    def __init__(self, code: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(code, len(code))
        self._program = ctypes.byref(_FilterProgram(len(code) // 8, ctypes.addressof(self._buffer)))

    def install(self) -> None:
        """Applies the filter to this process permanently; needs PR_SET_NO_NEW_PRIVS."""
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, self._program)

    def install_listener(self, machine: str) -> int:
        """The same; returns the descriptor of the listener to which the filter hands calls over."""
        number = SECCOMP_CALL[column_of(machine)]
        return syscall("seccomp", number, SECCOMP_SET_MODE_FILTER, NEW_LISTENER, self._program)
