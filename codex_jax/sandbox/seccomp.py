"""The system calls that a program may make, by seccomp: all others fail, such as signals, sockets, exec and tracing.

A filter in classic BPF, written by hand as it needs no library; it cannot be taken off, and threads have it too.
"""

import ctypes
import errno
import struct
from collections.abc import Collection, Mapping

from codex_jax.sandbox.libc import checked
from codex_jax.sandbox.syscalls import ALLOWED, CHECKED, UNKNOWN, ArgumentRule, Checked

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06  # BPF opcodes
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16  # in struct seccomp_data
ALLOW, KILL, FAIL, ABSENT = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS
FOREIGN_ABI = 0x40000000  # x86's x32 calls start here; other machines have no numbers so high
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column of the table, the kernel's AUDIT_ARCH


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


RETURN_ALLOW, RETURN_FAIL = _instruction(RETURN, ALLOW), _instruction(RETURN, FAIL)


def _checks(checks: tuple[ArgumentRule, ...]) -> bytes:
    """ALLOW where every check holds, else FAIL."""
    code = b""
    for argument, kind, values in checks:
        code += _instruction(LOAD, ARGUMENTS_AT + 8 * argument + 4 * (kind == "high"))
        if kind == "clear":
            code += _instruction(JUMP_ANY_BIT, values[0], 0, 1) + RETURN_FAIL
        else:
            for left, value in zip(range(len(values), 0, -1), values, strict=True):
                code += _instruction(JUMP_EQUAL, value, left)  # over the values that are left, and the failure
            code += RETURN_FAIL
    return code + RETURN_ALLOW


def build_filter(machine: str, without: Collection[str] = (), checked: Mapping[str, Checked] = CHECKED) -> bytes:
    """The BPF program for platform.machine(); OSError where we do not know its numbers.

    without: calls that fail too; checked: those whose arguments are looked at.
    """
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    column, architecture = ARCHITECTURES[machine]
    actions = [(numbers[column], RETURN_ALLOW) for name, numbers in ALLOWED.items() if name not in without]
    actions += [(numbers[column], _instruction(RETURN, ABSENT)) for numbers in UNKNOWN.values()]
    actions += [(numbers[column], _checks(checks)) for numbers, checks in checked.values()]
    known = {number: action for number, action in actions if number is not None}  # the last of a number counts
    # What holds from a number on, up to the next.
    starts = [(0, RETURN_FAIL)]
    for number in range(max(known) + 2):
        action = known.get(number, RETURN_FAIL)
        if action != starts[-1][1]:
            starts.append((number, action))
    code = _instruction(LOAD, ARCHITECTURE_AT) + _instruction(JUMP_EQUAL, architecture, 1) + _instruction(RETURN, KILL)
    code += _instruction(LOAD, NUMBER_AT) + _instruction(JUMP_AT_LEAST, FOREIGN_ABI, 0, 1) + RETURN_FAIL
    return code + _search(starts)


def _search(starts: list[tuple[int, bytes]]) -> bytes:
    """Finds a number's range in a few steps, as the kernel tries all numbers whenever a filter is laid."""
    if len(starts) == 1:
        return starts[0][1]
    middle = len(starts) // 2
    low, high = _search(starts[:middle]), _search(starts[middle:])
    return _instruction(JUMP_AT_LEAST, starts[middle][0], 0, 1) + _instruction(JUMP, len(low) // 8) + low + high


class Filter:
    """A filter that is ready to be laid on many processes."""

    def __init__(self, code: bytes) -> None:
        self._buffer = ctypes.create_string_buffer(code, len(code))
        self._program = ctypes.byref(_Program(len(code) // 8, ctypes.addressof(self._buffer)))

    def install(self, libc: ctypes.CDLL) -> None:
        """Lays it on this process, for good; needs PR_SET_NO_NEW_PRIVS. OSError where the kernel refuses."""
        checked(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, self._program, 0, 0), "seccomp")
