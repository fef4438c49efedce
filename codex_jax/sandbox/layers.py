"""The ladder of isolation, best layer first."""

import os
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """What keeps a program in; where none of the safe ones works, nothing is run unless UNSAFE is asked for."""

    name: str
    namespaces: bool = False
    landlock: bool = False  # must be there; it is used wherever the kernel has it
    chroot: bool = False
    seccomp: bool = True
    text: str = ""


LAYERS = (
    Layer("namespaces", namespaces=True, text="namespaces, Landlock where the kernel has it, and seccomp"),
    Layer("landlock", landlock=True, text="Landlock and seccomp, without namespaces"),
    Layer("chroot", chroot=True, text="root's chroot and a user of its own, and seccomp, without Landlock"),
)
UNSAFE = Layer("unsafe", seccomp=False, text="resource limits alone: a program may do whatever you may")
NAMED = {layer.name: layer for layer in (*LAYERS, UNSAFE)}


def ladder(name: str) -> tuple[Layer, ...]:
    """The layers to try, best first, for "auto" or the name of one."""
    return LAYERS if name == "auto" else (NAMED[name],)


def missing(refused: dict[str, str]) -> str:
    """One line on why there is no sandbox here; refused: a layer's name to what was refused."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
    return f"no sandbox works here ({reasons}): try a kernel with Landlock (5.13) or user namespaces, root, or --unsafe"


FIRST_USER, USERS = 61_184, 4_335  # of nobody's: the range that systemd gives out for a service's lifetime


def own_user() -> int:
    """A user id that no other live worker has, so that programs of two workers cannot signal each other."""
    return FIRST_USER + os.getpid() % USERS


def null_streams() -> None:
    """Standard streams become a newly opened /dev/null."""
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    os.close(null)


def keep_descriptors(kept: Iterable[int]) -> None:
    """Standard streams become /dev/null, and all others but these are closed."""
    null_streams()
    start = 3
    for descriptor in sorted(kept):
        os.closerange(start, descriptor)
        start = descriptor + 1
    os.closerange(start, os.sysconf("SC_OPEN_MAX"))
