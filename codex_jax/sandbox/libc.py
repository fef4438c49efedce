"""Linux calls that Python's standard library lacks, made through ctypes. All raise OSError on failure."""

import ctypes
import errno
import os
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
_CAPSET = LIBC.capset  # looked up here, because each program's process would otherwise look it up
_FORK = ctypes.PyDLL(None, use_errno=True).fork  # PyDLL keeps the GIL, as os.fork does

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 22, 36, 38
CAPABILITY_VERSION = 0x20080522
_NO_CAPABILITIES = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()  # pid 0: this process


def _checked(result: int, name: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {errno.errorcode.get(number, number)}")
    return result


def syscall(name: str, number: int, *args: Any) -> int:
    """Makes a system call by its number; name: for the error message."""
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]  # int leaves half undefined
    return _checked(LIBC.syscall(ctypes.c_long(number), *wide), name)


def fork() -> int:
    """Forks without os.fork's handling of other threads, which must not exist; this touches half as much memory."""
    return _checked(_FORK(), "fork")


def prctl(option: int, value: int, argument: Any = 0) -> None:
    """prctl(2)."""
    _checked(LIBC.prctl(option, ctypes.c_ulong(value), argument, 0, 0), f"prctl {option}")


def drop_capabilities() -> None:
    """Drops all capabilities of this process. With PR_SET_NO_NEW_PRIVS it cannot regain any."""
    _checked(_CAPSET(*_NO_CAPABILITIES), "capset")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """mount(2)."""
    args = (source.encode(), os.fsencode(target), kind and kind.encode(), ctypes.c_ulong(flags), options.encode())
    _checked(LIBC.mount(*args), f"mount {target}")


def unmount(target: str, flags: int) -> None:
    """umount2(2)."""
    _checked(LIBC.umount2(os.fsencode(target), flags), f"umount {target}")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _checked(LIBC.unshare(ctypes.c_int(flags)), "unshare")


def enter_namespace(descriptor: int, flags: int) -> None:
    """setns(2)."""
    _checked(LIBC.setns(descriptor, flags), "setns")
