"""The isolation layers, best first."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Layer:
    """One way to isolate programs. A worker uses the first layer that works on this machine."""

    name: str
    text: str  # description in messages
    namespaces: bool = False
    landlock: bool = False  # whether Landlock is required; the namespaces layer also uses it if the kernel has it
    chroot: bool = False
    seccomp: bool = True


LAYERS = (
    Layer("namespaces", "namespaces, Landlock where the kernel has it, and seccomp", namespaces=True),
    Layer("landlock", "Landlock and seccomp, without namespaces", landlock=True),
    Layer("chroot", "root's chroot, a separate user id and seccomp, without Landlock", chroot=True),
)
UNSAFE = Layer("unsafe", "resource limits alone: a program may do whatever you may", seccomp=False)
LAYER_OF = {layer.name: layer for layer in (*LAYERS, UNSAFE)}


def candidate_layers(name: str) -> tuple[Layer, ...]:
    """The layers to try, best first; name: "auto" or the name of one layer."""
    return LAYERS if name == "auto" else (LAYER_OF[name],)


def no_layer_message(refused: dict[str, str]) -> str:
    """The error message if no layer works here; refused: reasons by layer name."""
    reasons = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
    return f"no sandbox works here ({reasons}): try a kernel with Landlock (5.13) or user namespaces, root, or --unsafe"
