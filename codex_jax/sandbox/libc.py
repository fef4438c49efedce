"""Linux by ctypes: the few calls that Python's own modules do not have."""

import ctypes
import errno
import os
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.syscall.restype = ctypes.c_long
_FORK = ctypes.PyDLL(None, use_errno=True).fork  # keeps Python's lock, as os.fork does

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 4, 36, 38
CAPABILITY_VERSION = 0x20080522
_CAPABILITIES = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()  # none, of this process


def checked(result: int, what: str) -> int:
    """The result of a call; OSError where it is one of failure."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {errno.errorcode.get(number, number)}")
    return result


def syscall(what: str, number: int, *args: Any) -> int:
    """A system call by its number, with whole registers; OSError names what it was for."""
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return checked(LIBC.syscall(ctypes.c_long(number), *wide), what)


def fork() -> int:
    """os.fork without what it does about other threads, of which there must be none: half the memory is touched."""
    return checked(_FORK(), "fork")


def prctl(option: int, value: int) -> None:
    """Linux's prctl; OSError where it is refused."""
    checked(LIBC.prctl(option, ctypes.c_ulong(value), 0, 0, 0), f"prctl {option}")


def drop_capabilities() -> None:
    """None are left to this process; with no new privileges none come back."""
    checked(LIBC.capset(*_CAPABILITIES), "capset")


def mount(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Linux's mount; OSError where it is refused."""
    args = (source.encode(), os.fsencode(target), kind and kind.encode(), ctypes.c_ulong(flags), options.encode())
    checked(LIBC.mount(*args), f"mount {target}")


def unmount(target: str, flags: int) -> None:
    """Linux's umount2; OSError where it is refused."""
    checked(LIBC.umount2(os.fsencode(target), flags), f"umount {target}")


def unshare(flags: int) -> None:
    """Linux's unshare; OSError where it is refused."""
    checked(LIBC.unshare(ctypes.c_int(flags)), "unshare")
