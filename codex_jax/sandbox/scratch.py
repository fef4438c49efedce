"""A folder of bounded size for each program: a file system in memory where we may mount one, else a counted folder."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.libc import mount, unmount
from codex_jax.sandbox.namespaces import DETACH, NO_DEVICES, NO_EXEC, NO_READ_TIMES, NO_SUID, SCRATCH

DEPTH = 100
BLOCK = 512  # the unit of st_blocks


def _untouched(path: str) -> tuple[int, ...]:
    """Its times while it is as new: nothing is in it, nor has been; else ()."""
    status = os.stat(path)
    return () if os.listdir(path) else (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)


def _size(status: os.stat_result) -> int:
    return max(status.st_blocks * BLOCK, status.st_size)  # without blocks it may yet be written


def look_at_descriptors(pid: int) -> Iterator[os.stat_result]:
    """What a process has open; OSError where it may not be looked at."""
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed since
            yield os.stat(f"{folder}/{name}")


def _removed(pid: int) -> Iterator[os.stat_result]:
    """Files that it has open and that are in no folder any more."""
    with contextlib.suppress(OSError):  # it has ended; or it may remove none, as it cannot be looked at
        for status in look_at_descriptors(pid):
            if not status.st_nlink and stat.S_ISREG(status.st_mode):
                yield status


class MountedScratch:
    """A new file system a program, in the namespaces of the fork server; the kernel keeps the bounds."""

    path = SCRATCH
    every: float | None = None  # seconds between looks at its size

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._mounted = False
        self._times: tuple[int, ...] = ()

    def renew(self) -> None:
        """Empties it."""
        if self._mounted and self._times == _untouched(self.path):
            return
        self.close()
        options = f"mode=0700,size={self._policy.scratch_size},nr_inodes={self._policy.scratch_files}"
        mount("tmpfs", self.path, "tmpfs", NO_SUID | NO_DEVICES | NO_EXEC | NO_READ_TIMES, options)
        self._mounted, self._times = True, _untouched(self.path)

    def full(self, pid: int) -> bool:
        """Whether this program has broken the bounds."""
        return False

    def close(self) -> None:
        """Takes it away."""
        if self._mounted:
            unmount(self.path, DETACH)
            self._mounted = False


class FolderScratch:
    """A folder on disk, looked at while the program runs; user: who may write it, where we are root."""

    every: float | None = 0.05

    def __init__(self, policy: Policy, user: int | None) -> None:
        self._policy = policy
        self._user = user
        self._times: tuple[int, ...] = ()
        self._parent = tempfile.mkdtemp(prefix="codex-jax-")  # of ours alone, whatever a program does to its own
        self.path = os.path.join(self._parent, "scratch")
        if user is not None:
            os.chown(self._parent, 0, user)
            os.chmod(self._parent, 0o710)

    def renew(self) -> None:
        """Empties it."""
        if self._times and self._times == _untouched(self.path):
            return
        self._remove()
        os.mkdir(self.path, 0o700)
        if self._user is not None:
            os.chown(self.path, self._user, self._user)
        self._times = _untouched(self.path)

    def full(self, pid: int) -> bool:
        """Whether this program has broken the bounds; a folder that is too deep or closed to us counts as full."""
        size, files, policy = sum(map(_size, _removed(pid))), 0, self._policy
        folders = [(self.path, 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        size += _size(status)
                        files += 1
                        if size > policy.scratch_size or files > policy.scratch_files or depth > DEPTH:
                            return True
                        if stat.S_ISDIR(status.st_mode):
                            folders.append((entry.path, depth + 1))
            except FileNotFoundError:  # it has just been removed
                continue
            except OSError:
                return True
        return size > policy.scratch_size

    def close(self) -> None:
        """Takes it away."""
        self._remove()
        with contextlib.suppress(OSError):
            os.rmdir(self._parent)

    def _remove(self) -> None:
        """All of it, however deep: what is in a folder is moved up before the folder goes."""
        count = 0
        while True:
            names = os.listdir(self._parent)
            if not names:
                return
            for name in names:
                path = os.path.join(self._parent, name)
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    os.unlink(path)
                    continue
                os.chmod(path, 0o700)
                for inner in os.listdir(path):
                    source = os.path.join(path, inner)
                    if stat.S_ISDIR(os.lstat(source).st_mode):
                        os.chmod(source, 0o700)  # a folder is moved only by who may write it
                        count += 1
                        os.rename(source, os.path.join(self._parent, f"moved-{count}"))
                    else:
                        os.unlink(source)
                os.rmdir(path)
