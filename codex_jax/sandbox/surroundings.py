"""What programs expect of a system: environment variables, a user's name, /dev/stdin, and locks of multiprocessing.

These are set in the fork server's Python, once for all programs, because no layer has a file or a process for them.
They are for honest programs: a program may undo them, and gains nothing by it.
"""

import builtins
import functools
import grp
import io
import os
import posix
import pwd
import socket
import sys
import types
from _thread import get_ident
from collections.abc import Callable
from typing import Any

USER = HOST = "sandbox"
PYTHON = "/usr/bin/python3"  # sys.executable, which no program can start
STREAMS = {"/dev/stdin": 0, "/dev/stdout": 1, "/dev/stderr": 2}
DESCRIPTOR_FOLDERS = ("/dev/fd/", "/proc/self/fd/")


def surround(home: str, files_by_descriptor: bool) -> None:
    """Prepares this process's Python for programs.

    home: their scratch folder; files_by_descriptor: whether a file's mode and times can be changed only through an open
    descriptor of it.
    """
    os.environ.clear()
    os.environ.update(PATH=os.defpath, HOME=home, USER=USER, LOGNAME=USER)
    sys.executable = sys._base_executable = PYTHON  # type: ignore[attr-defined]
    sys.argv = sys.orig_argv = [PYTHON]
    _name_user(home)
    _name_host()
    builtins.open = io.open = _Opener(io.open)
    os.open = posix.open = _Opener(os.open)  # type: ignore[assignment]
    if files_by_descriptor:
        os.chmod = posix.chmod = _through_descriptor(os.chmod)
        os.utime = posix.utime = _through_descriptor(os.utime)
    module: Any = types.ModuleType("_multiprocessing")
    module.SemLock, module.sem_unlink, module.flags = SemLock, str, {}
    sys.modules["_multiprocessing"] = module


def _name_user(home: str) -> None:
    def one(entry: Any, key: object, known: tuple) -> Any:
        if key not in known:
            raise KeyError(f"not found: {key!r}")
        return entry()

    def user() -> pwd.struct_passwd:
        return pwd.struct_passwd((USER, "x", os.getuid(), os.getgid(), "", home, "/bin/sh"))

    def group() -> grp.struct_group:
        return grp.struct_group((USER, "x", os.getgid(), [USER]))

    pwd.getpwuid = lambda uid: one(user, uid, (os.getuid(),))
    pwd.getpwnam = lambda name: one(user, name, (USER,))
    pwd.getpwall = lambda: [user()]
    grp.getgrgid = lambda id: one(group, id, (os.getgid(),))
    grp.getgrnam = lambda name: one(group, name, (USER,))
    grp.getgrall = lambda: [group()]
    os.getlogin = posix.getlogin = lambda: USER


def _name_host() -> None:
    uname = os.uname

    def renamed() -> os.uname_result:
        system, _, *others = uname()
        return os.uname_result((system, HOST, *others))

    os.uname = posix.uname = renamed
    socket.gethostname = lambda: HOST


class _Opener:
    """open, for which the names of the standard streams stand for their descriptors. An object, as a function would
    become a method where a class has it as an attribute.
    """

    def __init__(self, function: Callable) -> None:
        functools.update_wrapper(self, function)
        self._function = function

    def __call__(self, file: Any, *args: Any, **kwargs: Any) -> Any:
        descriptor = _descriptor_of(file)
        if descriptor is None:
            return self._function(file, *args, **kwargs)
        copy = os.dup(descriptor)  # not a file of its own: a program that reads a pipe by its name reads the same data
        return copy if self._function is _posix_open else self._function(copy, *args, **kwargs)

    def __repr__(self) -> str:
        return repr(self._function)


_posix_open = os.open


def _descriptor_of(file: Any) -> int | None:
    if type(file) is not str:
        file = getattr(file, "_raw_path", None) or (str(file) if hasattr(file, "__fspath__") else None)
    if not file or not file.startswith(("/dev/", "/proc/self/")):
        return None
    for folder in DESCRIPTOR_FOLDERS:
        if file.startswith(folder) and file[len(folder) :].isdecimal():
            return int(file[len(folder) :])
    return STREAMS.get(file)


def _through_descriptor(change: Callable) -> Callable:
    @functools.wraps(change)
    def changed(path: Any, *args: Any, dir_fd: Any = None, follow_symlinks: bool = True, **kwargs: Any) -> None:
        if isinstance(path, int):
            return change(path, *args, **kwargs)
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow_symlinks else os.O_NOFOLLOW)
        descriptor = os.open(path, flags, dir_fd=dir_fd)
        try:
            change(descriptor, *args, **kwargs)
        finally:
            os.close(descriptor)

    return changed


class SemLock:
    """_multiprocessing.SemLock for a single process: threads of a program are all that may wait for it."""

    SEM_VALUE_MAX = 2**31 - 1
    handle, name = 0, None

    def __init__(self, kind: int, value: int, maxvalue: int, name: str, unlink: bool) -> None:
        """kind: 0 for a recursive lock, 1 for a semaphore."""
        from threading import Condition  # not loaded before the fork, because most programs have no threads

        self.kind, self.maxvalue = kind, maxvalue
        self._value, self._holder, self._holds = value, 0, 0
        self._changed = Condition()

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Takes the lock, or one unit of the semaphore; returns whether it did."""
        with self._changed:
            if self.kind or not self._is_mine():
                seconds = timeout if block else 0.0
                if not self._changed.wait_for(lambda: self._value > 0, seconds):
                    return False
                self._value -= 1
            self._holder, self._holds = get_ident(), self._holds + 1
            return True

    def release(self) -> None:
        """Gives it back. AssertionError or ValueError if this thread may not."""
        with self._changed:
            if not self.kind and not self._is_mine():
                raise AssertionError("attempt to release recursive lock not owned by thread")
            if self.kind and self._value >= self.maxvalue:
                raise ValueError("semaphore or lock released too many times")
            self._holds -= 1
            if self.kind or not self._holds:
                self._value += 1
                self._changed.notify()

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _is_mine(self) -> bool:
        return self._holds > 0 and self._holder == get_ident()

    def _count(self) -> int:
        return self._holds

    def _get_value(self) -> int:
        return self._value

    def _is_zero(self) -> bool:
        return self._value == 0

    def _after_fork(self) -> None:
        self._holds = 0
