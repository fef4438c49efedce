"""System calls that no program may make, closed by seccomp: signals, tracing, sockets, exec and the like fail.

A filter in classic BPF, written by hand as it needs no library; it cannot be taken off, and children inherit it.
"""

import ctypes
import errno
import platform
import struct

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06  # BPF opcodes
NUMBER_AT, ARCHITECTURE_AT = 0, 4  # in struct seccomp_data
ALLOW, KILL, FAIL = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM
FOREIGN_ABI = 0x40000000  # x86's x32 calls start here; other machines have no numbers so high

# name: (x86_64, aarch64)
DENIED = {
    "kill": (62, 129),
    "tkill": (200, 130),
    "tgkill": (234, 131),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_send_signal": (424, 424),
    "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "execve": (59, 221),
    "execveat": (322, 281),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "prlimit64": (302, 261),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
}
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}  # column above, AUDIT_ARCH of the kernel


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, value)


def build_filter(machine: str) -> bytes:
    """The BPF program for platform.machine(); OSError where we do not know its numbers."""
    if machine not in ARCHITECTURES:
        raise OSError(errno.ENOSYS, f"no system call filter for {machine}")
    column, architecture = ARCHITECTURES[machine]
    code = _instruction(LOAD, ARCHITECTURE_AT) + _instruction(JUMP_EQUAL, architecture, 1) + _instruction(RETURN, KILL)
    code += _instruction(LOAD, NUMBER_AT) + _instruction(JUMP_AT_LEAST, FOREIGN_ABI, 0, 1) + _instruction(RETURN, FAIL)
    for numbers in DENIED.values():
        code += _instruction(JUMP_EQUAL, numbers[column], 0, 1) + _instruction(RETURN, FAIL)
    return code + _instruction(RETURN, ALLOW)


def deny_system_calls(libc: ctypes.CDLL) -> None:
    """Closes them for this process, for good; needs PR_SET_NO_NEW_PRIVS. OSError where the kernel refuses."""
    code = build_filter(platform.machine())
    buffer = ctypes.create_string_buffer(code, len(code))
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
        raise OSError(ctypes.get_errno(), "seccomp")
