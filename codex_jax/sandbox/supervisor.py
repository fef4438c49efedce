"""Makes a program's pipes and counts its threads, so that kernel counters carry no messages between programs.

The kernel numbers pipes and socket pairs from one counter for the whole machine, and tasks from one per process-id
namespace. A program could advance such a counter, and the next program could read it. So a seccomp filter hands the
calls that advance one to the fork server. The server makes a pipe or socket pair itself, and gives it to the program
under a descriptor number whose status the filter hides. Threads start as usual. Where later programs share their
counter, the server advances it by a random number after the program has ended.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import signal
import socket
import struct
from collections.abc import Iterator

from codex_jax.sandbox.libc import LIBC, PR_SET_DUMPABLE, PR_SET_NO_NEW_PRIVS, fork, prctl, syscall
from codex_jax.sandbox.seccomp import RETURN_ALLOW, SYSTEM_CALLS, SystemCallFilter, column_of

PAIRS = 64  # descriptors kept for the ends of pipes and socket pairs
MAKING_PAIRS = ("pipe", "pipe2", "socketpair")
NOTIFICATION = struct.Struct("<QIIiIQ6Q")  # id, thread, flags, system call, architecture, instruction, its arguments
ANSWER = struct.Struct("<QqiI")  # id, value, negative error, flags
NEW_DESCRIPTOR = struct.Struct("<QIIII")  # id, flags, own descriptor, the program's, its flags
RECEIVE, SEND, ADD = 0xC0502100, 0xC0182101, 0x40182103  # requests of SECCOMP_IOCTL_NOTIF_*
CONTINUE, AT_THIS_NUMBER = 1, 1  # flags of an answer and of a new descriptor
PIDFD_GETFD = 438  # the same number on every machine
FEW_THREADS, MAX_THREADS = 256, 4096  # that most programs start, and that a program may start, one after another
RANDOM_STEPS = 8  # the counter's random step is up to this many times as large; a step of 1 takes 11 microseconds
# The kernel takes the next id, then fails because it cannot write to a null pointer: VM, FS, FILES, SIGHAND and PIDFD.
CLONE_THAT_FAILS = 0x100 | 0x200 | 0x400 | 0x800 | 0x1000


class Supervisor:
    """Answers one program's calls. threads: how many it has started, counted only if its filter hands clone over."""

    def __init__(self, pid: int, listener: int, descriptors: int) -> None:
        """listener: its number in the program; descriptors: the program's limit on open files.

        OSError if the program has no such number.
        """
        self.threads = 0
        self._pid, self._end = pid, descriptors
        process = os.pidfd_open(pid)
        try:
            self._listener = fetch_descriptor(process, listener)
        finally:
            os.close(process)

    def fileno(self) -> int:
        """The descriptor that can be read when a call waits for its answer."""
        return self._listener

    def answer(self) -> bool:
        """Answers one call. False if there is none: the program has ended, or the file is no listener."""
        data = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(self._listener, RECEIVE, data)
        except OSError:
            return False
        call, _, _, number, _, _, *arguments = NOTIFICATION.unpack(data)
        error, flags = 0, 0
        name = name_of(number)
        if name == "clone":
            self.threads += 1
            error, flags = (0, CONTINUE) if self.threads <= MAX_THREADS else (errno.EAGAIN, 0)
        else:
            try:
                self._make_pair(call, name, arguments)
            except OSError as refused:
                error = refused.errno or errno.EPERM
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._listener, SEND, ANSWER.pack(call, 0, -error, flags))
        return True

    def close(self) -> None:
        """Closes the descriptors. Calls that still wait then fail."""
        os.close(self._listener)

    def _make_pair(self, call: int, name: str, arguments: list[int]) -> None:
        pointer, flags = arguments[0], arguments[1] if name == "pipe2" else 0
        if name == "socketpair":
            pointer, flags = arguments[3], arguments[1] & ~socket.SOCK_STREAM
        if flags & ~(os.O_CLOEXEC | os.O_NONBLOCK):
            raise OSError(errno.EINVAL, name)
        numbers = self._free_numbers()
        first, second = next(numbers), next(numbers)
        with contextlib.ExitStack() as opened:
            if name == "socketpair":
                ends = [opened.enter_context(end).fileno() for end in socket.socketpair()]
            else:
                ends = list(os.pipe())
                for end in ends:
                    opened.callback(os.close, end)
            for end, number in zip(ends, (first, second), strict=True):
                os.set_blocking(end, not flags & os.O_NONBLOCK)
                addition = NEW_DESCRIPTOR.pack(call, AT_THIS_NUMBER, end, number, flags & os.O_CLOEXEC)
                fcntl.ioctl(self._listener, ADD, addition)
        write_memory(self._pid, pointer, struct.pack("<2i", first, second))

    def _free_numbers(self) -> Iterator[int]:
        """Yields numbers for new descriptors, from the range where the filter refuses to tell a descriptor's status."""
        process = os.pidfd_open(self._pid)
        try:
            for number in range(self._end - PAIRS, self._end):
                try:
                    os.close(fetch_descriptor(process, number))
                except OSError as error:
                    if error.errno != errno.EBADF:
                        raise
                    yield number
        finally:
            os.close(process)
        raise OSError(errno.EMFILE, "too many pipes")


def name_of(number: int) -> str:
    """The name of this machine's system call with this number."""
    column = column_of(platform.machine())
    return next(call.name for call in SYSTEM_CALLS if call.numbers[column] == number)


class _Span(ctypes.Structure):
    _fields_ = [("address", ctypes.c_void_p), ("length", ctypes.c_size_t)]


def fetch_descriptor(process: int, number: int) -> int:
    """A descriptor of the file that is this number in another process. OSError if it has none.

    process: a pidfd.
    """
    return syscall("pidfd_getfd", PIDFD_GETFD, process, number, 0)


def may_listen() -> bool:
    """Whether a program's filter may have a listener that this process can fetch.

    The kernel may be too old, or forbid it, or this process have a listener already.
    """
    incoming, outgoing = os.pipe()
    pid = fork()
    if not pid:
        try:
            prctl(PR_SET_DUMPABLE, 1)
            prctl(PR_SET_NO_NEW_PRIVS, 1)
            os.write(outgoing, bytes([SystemCallFilter(RETURN_ALLOW).install_listener(platform.machine())]))
            signal.pause()  # until it is killed
        finally:
            os._exit(1)
    os.close(outgoing)
    number = os.read(incoming, 1)
    os.close(incoming)
    process = os.pidfd_open(pid)
    try:
        os.close(fetch_descriptor(process, number[0]))
    except (IndexError, OSError):
        return False
    finally:
        os.close(process)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return True


def write_memory(pid: int, address: int, data: bytes) -> None:
    """Writes to another process's memory; OSError if it may not be written."""
    own = _Span(ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p), len(data))
    other = _Span(address, len(data))
    if LIBC.process_vm_writev(pid, ctypes.byref(own), 1, ctypes.byref(other), 1, 0) != len(data):
        raise OSError(errno.EFAULT, "process_vm_writev")


def move_process_ids_on(threads: int) -> None:
    """Moves the counter of process ids on by a random number, after a program has moved it by this many threads."""
    steps = RANDOM_STEPS * (FEW_THREADS if threads <= FEW_THREADS else MAX_THREADS)
    number = next(call.numbers[column_of(platform.machine())] for call in SYSTEM_CALLS if call.name == "clone")
    for _ in range(int.from_bytes(os.urandom(4), "little") % steps):
        LIBC.syscall(number, CLONE_THAT_FAILS, 0, 0, 0, 0)
