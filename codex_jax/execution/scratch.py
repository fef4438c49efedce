"""A folder of bounded size for each program: a file system in memory where we may mount one, else a counted folder."""

import contextlib
import os
import stat
import tempfile

from codex_jax.execution.libc import mount, unmount
from codex_jax.execution.namespaces import DETACH, NO_DEVICES, NO_EXEC, NO_SUID, SCRATCH

BYTES, FILES = 32 << 20, 2000
BLOCK = 512  # the unit of st_blocks


class MountedScratch:
    """A new file system a program, in the namespaces of the fork server; the kernel keeps the bounds."""

    path = SCRATCH
    every: float | None = None  # seconds between looks at its size

    def __init__(self) -> None:
        self._mounted = False

    def renew(self) -> None:
        """Empties it."""
        self.close()
        options = f"mode=0700,size={BYTES},nr_inodes={FILES}"
        mount("tmpfs", self.path, "tmpfs", NO_SUID | NO_DEVICES | NO_EXEC, options)
        self._mounted = True

    def full(self) -> bool:
        """Whether the bounds are broken."""
        return False

    def close(self) -> None:
        """Takes it away."""
        if self._mounted:
            unmount(self.path, DETACH)
            self._mounted = False


class FolderScratch:
    """A folder on disk, looked at while the program runs; user: who may write it, where we are root."""

    every: float | None = 0.05

    def __init__(self, user: int | None) -> None:
        self._user = user
        self._parent = tempfile.mkdtemp(prefix="codex-jax-")  # of ours alone, whatever a program does to its own
        self.path = os.path.join(self._parent, "scratch")
        if user is not None:
            os.chown(self._parent, 0, user)
            os.chmod(self._parent, 0o710)

    def renew(self) -> None:
        """Empties it."""
        self._remove()
        os.mkdir(self.path, 0o700)
        if self._user is not None:
            os.chown(self.path, self._user, self._user)

    def full(self) -> bool:
        """Whether the bounds are broken."""
        size = files = 0
        folders = [self.path]
        while folders:
            try:
                with os.scandir(folders.pop()) as entries:
                    for entry in entries:
                        status = entry.stat(follow_symlinks=False)
                        size += max(status.st_blocks * BLOCK, status.st_size)
                        files += 1
                        if size > BYTES or files > FILES:
                            return True
                        if stat.S_ISDIR(status.st_mode):
                            folders.append(entry.path)
            except OSError:  # too deep for a path, or closed to us
                return True
        return False

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
