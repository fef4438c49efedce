"""Linux namespaces that hide other processes, the network and all files except a read-only Python from a fork server.

They are user, mount, PID, network, IPC and UTS namespaces. Creating them needs no root.
"""

import os
import socket
import struct
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from codex_jax.sandbox.imports import PACKAGE_FOLDERS
from codex_jax.sandbox.landlock import DEVICES
from codex_jax.sandbox.libc import mount, syscall, unmount, unshare
from codex_jax.sandbox.surroundings import HOST

PROCESS_IDS = 1 << 29
ALL_NAMESPACES = 1 << 17 | 1 << 26 | 1 << 27 | 1 << 28 | PROCESS_IDS | 1 << 30  # mount, UTS, IPC, user, ..., network
MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_NOATIME = 1 << 1, 1 << 2, 1 << 3, 1 << 10
MS_BIND, MS_REC, MS_PRIVATE = 1 << 12, 1 << 14, 1 << 18
MNT_DETACH = 2
MOUNT_SETATTR = 442  # since kernel 5.12; the same number on every machine
AT_FDCWD, AT_RECURSIVE = -100, 0x8000
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
INNER_ID = 1000  # id of the only user and group in the namespace
SCRATCH = "/run/scratch"  # path in the new root
SCRATCH_PARENT = os.path.dirname(SCRATCH)


def start_in_namespaces(body: Callable[[], None], readable: Mapping[str, str], user: int) -> None:
    """Runs body in the first process of new namespaces, in which only the readable paths exist: {path there: path}.

    user: the process's user id outside the namespaces. The process becomes a child of the caller only if the caller is
    a subreaper. body must end when the caller does. Raises OSError that names what the kernel refused.
    """
    parent_end, child_end = socket.socketpair()
    child = os.fork()
    if not child:
        try:
            parent_end.close()
            _enter(body, readable, child_end)
        except BaseException as error:
            child_end.send(b"!" + str(error).encode("utf-8", "replace"))
        finally:
            os._exit(1)  # never return into the caller's code
    child_end.close()
    try:
        _expect(parent_end, b"unshared")
        _map_user(child, user)
        parent_end.send(b"mapped")
        _expect(parent_end, b"ready")
    finally:
        parent_end.close()  # ends a child that is still waiting
        os.waitpid(child, 0)


def _expect(channel: socket.socket, expected: bytes) -> None:
    message = channel.recv(1000)
    if message != expected:
        raise OSError(message[1:].decode("utf-8", "replace") or "namespaces: ended at once")


def _map_user(pid: int, user: int) -> None:
    """Maps the namespace's only user to this user id. Only root may map an id other than its own."""
    group = user if os.geteuid() == 0 else os.getegid()
    if os.geteuid():
        Path(f"/proc/{pid}/setgroups").write_text("deny")  # required before a user other than root may map groups
    Path(f"/proc/{pid}/uid_map").write_text(f"{INNER_ID} {user} 1\n")
    Path(f"/proc/{pid}/gid_map").write_text(f"{INNER_ID} {group} 1\n")


def _enter(body: Callable[[], None], readable: Mapping[str, str], channel: socket.socket) -> None:
    """Enters the namespaces, then forks body."""
    is_root = os.geteuid() == 0
    unshare(ALL_NAMESPACES)
    channel.send(b"unshared")
    if channel.recv(1000) != b"mapped":
        return
    # Opened before the user id changes, because the new user may lack access to Python's library, and after unshare,
    # because descriptors from the old mount namespace cannot be bind-mounted here.
    shown = {**readable, **{device: device for device in DEVICES}}
    sources = [(name, os.open(path, os.O_PATH | os.O_CLOEXEC)) for name, path in shown.items()]
    if is_root:
        os.setgroups([])
    os.setresgid(INNER_ID, INNER_ID, INNER_ID)
    os.setresuid(INNER_ID, INNER_ID, INNER_ID)
    change_root(sources)
    socket.sethostname(HOST)
    # Only children enter the new PID namespace. The first is its init: when it ends, the kernel kills all others.
    if os.fork():
        os._exit(0)
    channel.send(b"ready")
    channel.close()
    body()


def change_root(sources: Iterable[tuple[str, int]]) -> None:
    """Replaces the root with a read-only one that has only read-only bind mounts of the sources: (path, descriptor)."""
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    base = tempfile.gettempdir()  # any existing folder; sources below it are already open
    mount("tmpfs", base, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m,nr_inodes=1k")
    os.chdir(base)
    for path, descriptor in sources:
        target = "." + path
        if os.path.isdir(f"/proc/self/fd/{descriptor}"):
            os.makedirs(target, exist_ok=True)
            attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV
        else:
            os.makedirs(os.path.dirname(target), exist_ok=True)
            os.close(os.open(target, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))
            attributes = MOUNT_ATTR_NOSUID | (0 if path in DEVICES else MOUNT_ATTR_RDONLY)
        mount(f"/proc/self/fd/{descriptor}", target, None, MS_BIND | MS_REC)
        _set_mount_attributes(target, attributes)
        os.close(descriptor)
        for name in PACKAGE_FOLDERS:  # hides packages that are installed inside Python's own folder
            if os.path.isdir(f"{target}/{name}"):
                mount("tmpfs", f"{target}/{name}", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0555,size=4k")
                _set_mount_attributes(f"{target}/{name}", MOUNT_ATTR_RDONLY)
    os.makedirs("." + SCRATCH)
    syscall("pivot_root", PIVOT_ROOT[os.uname().machine], b".", b".")
    unmount(".", MNT_DETACH)
    os.chdir("/")
    _set_mount_attributes("/", MOUNT_ATTR_RDONLY, flags=0)


def _set_mount_attributes(path: str, attributes: int, flags: int = AT_RECURSIVE) -> None:
    packed = struct.pack("<QQQQ", attributes, 0, 0, 0)
    syscall(f"mount_setattr {path}", MOUNT_SETATTR, AT_FDCWD, os.fsencode(path), flags, packed, len(packed))
