"""The device mesh, and the one table from logical axes to mesh axes."""

from collections.abc import Sequence
from types import EllipsisType
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.experimental import mesh_utils
from jax.sharding import AbstractMesh, AxisType, Mesh, NamedSharding, PartitionSpec

from codex_jax.config import MeshConfig, TrainConfig
from codex_jax.errors import InputError

AXES = ("data", "fsdp", "sequence", "model")

# Matrices are split along the embedding over fsdp and sequence, and along heads, MLP and vocabulary over model; vectors
# along the embedding (norms, two biases) are small, and whole on every device.
RULES: dict[str, str | tuple[str, ...] | None] = {
    "batch": ("data", "fsdp"),
    "copy": "data",  # the batch, where the embedding is split over the rest
    "length": "sequence",
    "activation": None,
    "layers": None,
    "position": None,
    "vector": None,
    "embed": ("sequence", "fsdp"),
    "embed_of_sequence": "sequence",  # of an embedding in exchange: half way from embed to batch and length
    "heads": "model",
    "mlp": "model",
    "vocab": "model",
}

BATCH = PartitionSpec(RULES["batch"])


Axis = str | EllipsisType | None


def spec(*axes: Axis) -> PartitionSpec:
    """The mesh axes of an array whose axes have these logical names.

    None is whole on every device, and an ellipsis is for the compiler to choose.
    """
    named = {None: None, ...: PartitionSpec.UNCONSTRAINED}
    return PartitionSpec(*(RULES[axis] if isinstance(axis, str) else named[axis] for axis in axes))


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh data x fsdp x sequence x model over the devices (default: all).

    InputError when its sizes do not cover them.
    """
    sizes = [getattr(config, axis) for axis in AXES]
    count = jax.device_count() if devices is None else len(devices)
    fixed = int(np.prod([size for size in sizes if size != -1]))
    if sizes.count(-1) > 1 or any(size < 1 and size != -1 for size in sizes):
        raise InputError(f"mesh {sizes}: sizes are at least 1, and one axis at most may be -1")
    if -1 in sizes and count % fixed == 0:
        sizes[sizes.index(-1)] = count // fixed
    if int(np.prod(sizes)) != count:
        raise InputError(
            f"mesh {' x '.join(AXES)} = {' x '.join(map(str, sizes))} does not cover {count} devices: "
            f"their product must be {count}, as with --mesh.data 1 --mesh.fsdp -1"
        )
    # A mesh axis may take a part of a torus axis: jax.make_mesh allows it on some chips only.
    placed = mesh_utils.create_device_mesh(tuple(sizes), devices, allow_split_physical_axes=True)
    return Mesh(placed, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def check_divides(config: TrainConfig, length: int, mesh: Mesh | AbstractMesh) -> None:
    """InputError naming the axis, the size and what would fit, where sequences of `length` do not divide over it."""
    model, shape = config.model, mesh.shape
    batch, embed = shape["data"] * shape["fsdp"], shape["fsdp"] * shape["sequence"]
    for flag, ways, what, size in (
        ("--accumulation", config.accumulation, "--batch-size", config.batch_size),
        ("--mesh.data x fsdp", batch, "--batch-size / --accumulation", config.batch_size // config.accumulation),
        ("--mesh.fsdp x sequence", embed, "--model.width", model.width),
        ("--mesh.sequence", shape["sequence"], "sequences, in tokens,", length),
        ("--mesh.model", shape["model"], "--model.heads", model.heads),
        ("--mesh.model", shape["model"], "4 x --model.width", 4 * model.width),
        ("--mesh.model", shape["model"], "--model.vocab-size", model.vocab_size),
        ("--loss-chunks", config.loss_chunks * shape["sequence"], "sequences over --mesh.sequence, in tokens,", length),
    ):
        if size % ways:
            raise InputError(f"{flag} = {ways} does not divide {what} = {size}: {_near(size, ways)} would")


def _near(size: int, ways: int) -> str:
    # The divisors on both sides of what was asked for, not all of a large number's.
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    below, above = [n for n in divisors if n < ways][-3:], [n for n in divisors if n > ways][:2]
    *most, last = map(str, below + above)
    return f"{', '.join(most)} or {last}" if most else last


def shardings(abstract_variables: object, mesh: Mesh) -> object:
    """NamedShardings of a tree of logically partitioned variables; InputError where an axis does not divide."""
    specs = nn.get_partition_spec(abstract_variables)
    is_spec = {"is_leaf": lambda leaf: isinstance(leaf, PartitionSpec)}
    tree = jax.tree.map(lambda names: NamedSharding(mesh, spec(*names)), specs, **is_spec)
    shapes = nn.meta.unbox(abstract_variables)

    def check(path: tuple, leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> None:
        for size, axis in zip(leaf.shape, sharding.spec, strict=False):
            ways = int(np.prod([mesh.shape[name] for name in (axis if isinstance(axis, tuple) else (axis,)) if name]))
            if size % ways:
                name = jax.tree_util.keystr(path)
                raise InputError(f"{name}: size {size} does not divide over mesh axis {axis!r} of {ways}")

    jax.tree_util.tree_map_with_path(check, shapes, tree)
    return tree


def current_mesh() -> Mesh | AbstractMesh | None:
    """The mesh of jax.set_mesh, or None."""
    mesh: Any = jax.sharding.get_abstract_mesh()
    return None if mesh.empty else mesh


def platform_of(mesh: Mesh | AbstractMesh | None) -> str:
    """cpu, gpu or tpu: of the mesh's devices (they may be described and not attached), or the default backend."""
    if isinstance(mesh, Mesh):
        return mesh.devices.flat[0].platform
    device = mesh.abstract_device if mesh is not None else None
    return device.platform if device is not None else jax.default_backend()


def constrain(x: jax.Array, *axes: Axis) -> jax.Array:
    """x laid out by its logical axes over the current mesh; x itself where there is none."""
    return x if current_mesh() is None else jax.lax.with_sharding_constraint(x, spec(*axes))
