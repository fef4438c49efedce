"""User, mount, pid, network, IPC and host name namespaces for a fork server: it sees no other process, no network
and no file but a read-only view of Python, whoever starts it.
"""

import os
import struct
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

from codex_jax.sandbox.landlock import DEVICES
from codex_jax.sandbox.libc import mount, syscall, unmount, unshare

NEW_MOUNTS, NEW_NAME, NEW_IPC, NEW_USER, NEW_PIDS, NEW_NETWORK = 1 << 17, 1 << 26, 1 << 27, 1 << 28, 1 << 29, 1 << 30
ALL = NEW_MOUNTS | NEW_NAME | NEW_IPC | NEW_USER | NEW_PIDS | NEW_NETWORK
NO_SUID, NO_DEVICES, NO_EXEC, NO_READ_TIMES = 1 << 1, 1 << 2, 1 << 3, 1 << 10
BIND, RECURSIVE, PRIVATE = 1 << 12, 1 << 14, 1 << 18
DETACH = 2  # of umount2
SET_ATTRIBUTES = 442  # mount_setattr, the same number on every machine; kernel 5.12
HERE, EMPTY_PATH, BELOW = -100, 0x1000, 0x8000  # AT_FDCWD, AT_EMPTY_PATH, AT_RECURSIVE
READ_ONLY_ATTRIBUTE, NO_SUID_ATTRIBUTE, NO_DEVICES_ATTRIBUTE = 1, 2, 4
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
INSIDE = 1000  # the one user and group that there are
PACKAGES = ("site-packages", "dist-packages")  # among which tests may be; where Python has them in its own folder
SCRATCH = "/run/scratch"  # in the new root
SCRATCH_PARENT = os.path.dirname(SCRATCH)


def start(body: Callable[[], None], read: Iterable[Path], user: int) -> None:
    """Forks body as the first process in new namespaces; outside it is `user`. OSError names what was refused.

    The caller becomes its parent only where it is a subreaper. Body must end when the caller does.
    """
    told_out, told_in = os.pipe()
    go_out, go_in = os.pipe()
    middle = os.fork()
    if not middle:
        try:
            os.close(told_out)
            os.close(go_in)
            _middle(body, read, told_in, go_out)
        except BaseException as error:
            os.write(told_in, b"!" + str(error).encode("utf-8", "replace"))
        finally:
            os._exit(1)  # never back into the caller's code
    os.close(told_in)
    os.close(go_out)
    try:
        _expect(told_out, b"unshared")
        _map_user(middle, user)
        os.write(go_in, b"1")
        _expect(told_out, b"ready")
    finally:
        os.close(told_out)
        os.close(go_in)
        os.waitpid(middle, 0)


def _expect(told: int, word: bytes) -> None:
    message = os.read(told, 1000)
    if message != word:
        raise OSError(message[1:].decode("utf-8", "replace") or "namespaces: ended at once")


def _map_user(pid: int, user: int) -> None:
    """Of the machine's users, the namespace has this one; only root may choose another than itself."""
    group = user if os.geteuid() == 0 else os.getegid()
    if os.geteuid():
        Path(f"/proc/{pid}/setgroups").write_text("deny")  # without which nobody but root may map groups
    Path(f"/proc/{pid}/uid_map").write_text(f"{INSIDE} {user} 1\n")
    Path(f"/proc/{pid}/gid_map").write_text(f"{INSIDE} {group} 1\n")


def _middle(body: Callable[[], None], read: Iterable[Path], told: int, go: int) -> None:
    root = os.geteuid() == 0
    unshare(ALL)
    os.write(told, b"unshared")
    if os.read(go, 1) != b"1":
        return
    # While this is still the user who may read Python's library; and after unshare, as mounts of before are not ours.
    sources = [(str(path), os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in [*read, *map(Path, DEVICES)]]
    if root:
        os.setgroups([])
    os.setresgid(INSIDE, INSIDE, INSIDE)
    os.setresuid(INSIDE, INSIDE, INSIDE)
    change_root(sources)
    # Only children are in the new pid namespace; the first is its init, and when that ends all others do.
    if os.fork():
        os._exit(0)
    os.write(told, b"ready")
    os.close(told)
    os.close(go)
    body()


def change_root(sources: Iterable[tuple[str, int]]) -> None:
    """An empty, read-only root with these paths bound in, read-only too; (path, its descriptor)."""
    mount("none", "/", None, RECURSIVE | PRIVATE)
    base = tempfile.gettempdir()  # there is one; what it hides was opened before
    mount("tmpfs", base, "tmpfs", NO_SUID | NO_DEVICES, "mode=0755,size=1m,nr_inodes=1k")
    os.chdir(base)
    for path, descriptor in sources:
        target = "." + path
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(target, exist_ok=True)
            forbidden = READ_ONLY_ATTRIBUTE | NO_SUID_ATTRIBUTE | NO_DEVICES_ATTRIBUTE
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            forbidden = NO_SUID_ATTRIBUTE
        mount(f"/proc/self/fd/{descriptor}", target, None, BIND | RECURSIVE)
        set_attributes(target, forbidden)
        os.close(descriptor)
        for name in PACKAGES:
            if os.path.isdir(f"{target}/{name}"):
                mount("tmpfs", f"{target}/{name}", "tmpfs", NO_SUID | NO_DEVICES, "mode=0555,size=4k")
                set_attributes(f"{target}/{name}", READ_ONLY_ATTRIBUTE)
    os.makedirs("." + SCRATCH)
    syscall("pivot_root", PIVOT_ROOT[os.uname().machine], b".", b".")
    unmount(".", DETACH)
    os.chdir("/")
    set_attributes("/", READ_ONLY_ATTRIBUTE, 0)


def set_attributes(path: str, attributes: int, flags: int = BELOW) -> None:
    """Adds mount attributes, to all mounts below too."""
    attribute = struct.pack("<QQQQ", attributes, 0, 0, 0)
    syscall(f"mount_setattr {path}", SET_ATTRIBUTES, HERE, os.fsencode(path), flags, attribute, len(attribute))
