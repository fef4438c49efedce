"""A scratch folder of bounded size for each program: a file system in memory if we may mount one, else a folder."""

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.libc import mount, unmount
from codex_jax.sandbox.namespaces import MNT_DETACH, MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, SCRATCH

MAX_DEPTH = 100  # of folders in folders
BLOCK = 512  # bytes, the unit of st_blocks


def _unused_state(path: str) -> tuple[int, ...]:
    """Identifies an empty folder and its last change; () if the folder is not empty."""
    status = os.stat(path)
    return () if os.listdir(path) else (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)


def _size(status: os.stat_result) -> int:
    return max(status.st_blocks * BLOCK, status.st_size)  # a sparse file may yet be filled


def stat_descriptors(pid: int) -> Iterator[os.stat_result]:
    """The files that a process has open; OSError if we may not look at them."""
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            yield os.stat(f"{folder}/{name}")


def _size_of_deleted(pid: int) -> int:
    """The size of files that a process has deleted but still has open, in bytes."""
    size = 0
    with contextlib.suppress(OSError):  # it has ended, or we may not look and it may not delete
        for status in stat_descriptors(pid):
            if not status.st_nlink and stat.S_ISREG(status.st_mode):
                size += _size(status)
    return size


class MountedScratch:
    """A new file system in memory for each program, in the fork server's namespaces. The kernel enforces its size."""

    path = SCRATCH
    check_interval: float | None = None  # seconds between calls of is_full; None: not needed

    def __init__(self, policy: Policy) -> None:
        self._options = f"mode=0700,size={policy.scratch_size},nr_inodes={policy.scratch_files}"
        self._state: tuple[int, ...] = ()  # of the folder when it was mounted; () while it is not

    def clear(self) -> None:
        """Makes the folder empty."""
        if self._state and self._state == _unused_state(self.path):
            return
        self.close()
        mount("tmpfs", self.path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, self._options)
        self._state = _unused_state(self.path)

    def is_full(self, pid: int) -> bool:
        """Whether the program exceeds the limits."""
        return False

    def close(self) -> None:
        """Removes the file system."""
        if self._state:
            unmount(self.path, MNT_DETACH)
            self._state = ()


class FolderScratch:
    """A folder on disk whose size is checked while the program runs. user: its owner, if we are root."""

    check_interval: float | None = 0.05  # seconds

    def __init__(self, policy: Policy, user: int | None) -> None:
        self._policy = policy
        self._user = user
        self._state: tuple[int, ...] = ()
        self._parent = tempfile.mkdtemp(prefix="codex-jax-")  # programs cannot change it
        self.path = os.path.join(self._parent, "scratch")
        if user is not None:
            os.chown(self._parent, 0, user)
            os.chmod(self._parent, 0o710)

    def clear(self) -> None:
        """Makes the folder empty."""
        if self._state and self._state == _unused_state(self.path):
            return
        self._remove()
        os.mkdir(self.path, 0o700)
        if self._user is not None:
            os.chown(self.path, self._user, self._user)
        self._state = _unused_state(self.path)

    def is_full(self, pid: int) -> bool:
        """Whether the program exceeds the limits. A folder that is too deep or that we cannot read counts as full."""
        size, files, policy = _size_of_deleted(pid), 0, self._policy
        folders = [(self.path, 0)]
        while folders:
            folder, depth = folders.pop()
            try:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        size += _size(status)
                        files += 1
                        if size > policy.scratch_size or files > policy.scratch_files or depth > MAX_DEPTH:
                            return True
                        if stat.S_ISDIR(status.st_mode):
                            folders.append((entry.path, depth + 1))
            except FileNotFoundError:  # deleted in the meantime
                continue
            except OSError:
                return True
        return size > policy.scratch_size

    def close(self) -> None:
        """Removes the folder."""
        self._remove()
        with contextlib.suppress(OSError):
            os.rmdir(self._parent)

    def _remove(self) -> None:
        """Removes everything in the parent, however deep: what is in a folder is moved up before it is removed."""
        moved = 0
        while names := os.listdir(self._parent):
            for path in (os.path.join(self._parent, name) for name in names):
                if not stat.S_ISDIR(os.lstat(path).st_mode):
                    os.unlink(path)
                    continue
                os.chmod(path, 0o700)
                for inner in (os.path.join(path, name) for name in os.listdir(path)):
                    if not stat.S_ISDIR(os.lstat(inner).st_mode):
                        os.unlink(inner)
                        continue
                    try:
                        os.rmdir(inner)  # works for most: they are empty
                    except OSError:
                        os.chmod(inner, 0o700)  # a folder can be moved only by a user who may write it
                        moved += 1
                        os.rename(inner, os.path.join(self._parent, f"moved-{moved}"))
                os.rmdir(path)
