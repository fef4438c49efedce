"""A scratch folder of bounded size for each program: a tmpfs with namespaces, else a folder on disk."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.landlock import DEVICES
from codex_jax.sandbox.libc import mount, unmount
from codex_jax.sandbox.namespaces import MNT_DETACH, MS_NOATIME, MS_NODEV, MS_NOEXEC, MS_NOSUID, SCRATCH

MAX_DEPTH = 100  # nesting of folders
BLOCK = 512  # bytes, the unit of st_blocks


def _unused_state(path: str) -> tuple[int, ...]:
    """Returns an empty folder's identity and times, by which use is detected; () if the folder is not empty."""
    status = os.stat(path)
    return () if os.listdir(path) else (status.st_ino, status.st_mode, status.st_mtime_ns, status.st_ctime_ns)


def _size(status: os.stat_result) -> int:
    return max(status.st_blocks * BLOCK, status.st_size)  # counts a sparse file in full


def stat_descriptors(pid: int) -> Iterator[os.stat_result]:
    """Yields the status of each open file of a process; OSError if this process may not list them."""
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):  # closed in the meantime
            yield os.stat(f"{folder}/{name}")


def _size_of_deleted(pid: int) -> int:
    """Returns the bytes of files that a process has deleted but still has open."""
    size = 0
    with contextlib.suppress(OSError):  # the process has ended, or its files cannot be listed and it may not delete any
        for status in stat_descriptors(pid):
            if not status.st_nlink and stat.S_ISREG(status.st_mode):
                size += _size(status)
    return size


class MountedScratch:
    """A new tmpfs for each program, in the fork server's namespaces. The kernel enforces its size."""

    path = path_in_root = SCRATCH
    root = "/"
    check_interval: float | None = None  # seconds between calls of is_full; None: not needed

    def __init__(self, policy: Policy) -> None:
        self._options = f"mode=0700,size={policy.scratch_size},nr_inodes={policy.scratch_files}"
        self._state: tuple[int, ...] = ()  # of the folder when it was mounted; () if not mounted

    def clear(self) -> None:
        """Makes the folder empty."""
        if self._state and self._state == _unused_state(self.path):
            return
        self.close()
        mount("tmpfs", self.path, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME, self._options)
        self._state = _unused_state(self.path)

    def is_full(self, pid: int) -> bool:
        """Returns False: the kernel enforces the limits."""
        return False

    def close(self) -> None:
        """Unmounts the tmpfs."""
        if self._state:
            unmount(self.path, MNT_DETACH)
            self._state = ()


def _make_devices(root: str) -> None:
    """Makes the devices in a new root, where this process may; programs do without them otherwise."""
    os.mkdir(root + "/dev", 0o755)
    for device in DEVICES:
        with contextlib.suppress(OSError):
            os.mknod(root + device, stat.S_IFCHR | 0o666, os.stat(device).st_rdev)
            os.chmod(root + device, 0o666)  # whatever the umask


class FolderScratch:
    """A folder on disk whose size is checked while the program runs.

    user: its owner, or None without root; chroot: whether it is seen in a root of its own, which then has devices too.
    """

    check_interval: float | None = 0.05  # seconds

    def __init__(self, policy: Policy, user: int | None, chroot: bool = False) -> None:
        self._policy = policy
        self._user = user
        self._state: tuple[int, ...] = ()
        self.root = tempfile.mkdtemp(prefix="codex-jax-")
        self._parent = os.path.join(self.root, "home")  # programs cannot change it
        self.path = os.path.join(self._parent, "scratch")
        self.path_in_root = self.path.removeprefix(self.root) if chroot else self.path
        os.mkdir(self._parent, 0o700)
        if user is not None:
            for folder in (self.root, self._parent):
                os.chown(folder, 0, user)
                os.chmod(folder, 0o750)
        if chroot:
            _make_devices(self.root)

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
        """Whether the program exceeds the limits. A folder that is nested too deep or unreadable counts as full."""
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
        shutil.rmtree(self.root, ignore_errors=True)

    def _remove(self) -> None:
        """Empties the parent. Nested folders are moved up before their folder is removed, so any depth works."""
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
                        os.rmdir(inner)  # most are empty
                    except OSError:
                        os.chmod(inner, 0o700)  # moving a folder needs write permission for it
                        moved += 1
                        os.rename(inner, os.path.join(self._parent, f"moved-{moved}"))
                os.rmdir(path)
