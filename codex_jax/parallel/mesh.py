"""The device mesh, and the one table that maps an array's logical axes to mesh axes.

A mesh has four axes; MeshConfig sets how many devices lie along each:

    data      data parallelism: copies of the parameters, each with its part of the batch
    fsdp      splits the batch, and every parameter along its embedding axis
    sequence  splits each sequence, and every parameter along its embedding axis
    model     tensor parallelism: splits heads, the MLP's hidden units and the vocabulary
"""

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

# Logical axis -> the mesh axes that it is split over; None: not split.
RULES: dict[str, str | tuple[str, ...] | None] = {
    # activations
    "batch": ("data", "fsdp"),
    "copy": "data",  # the batch, in arrays whose width is split over fsdp
    "length": "sequence",
    "activation": None,  # the width of activations
    "embed_of_sequence": "sequence",  # the width of embeddings that are being resharded to activations
    # parameters
    "layers": None,
    "position": None,
    "vector": None,  # the width of norms and of two biases: too small to split
    "embed": ("sequence", "fsdp"),  # the width of embeddings and other weight matrices
    "heads": "model",
    "mlp": "model",
    "vocab": "model",
}

BATCH = PartitionSpec(RULES["batch"])

Axis = str | EllipsisType | None


def spec(*axes: Axis) -> PartitionSpec:
    """The PartitionSpec of these logical axes; None: not split; an ellipsis: the compiler chooses."""
    unnamed = {None: None, ...: PartitionSpec.UNCONSTRAINED}
    return PartitionSpec(*(RULES[axis] if isinstance(axis, str) else unnamed[axis] for axis in axes))


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh over the devices (default: all); InputError unless the product of its sizes is their number."""
    sizes = [getattr(config, axis) for axis in AXES]
    count = jax.device_count() if devices is None else len(devices)
    fixed = int(np.prod([size for size in sizes if size != -1]))
    if sizes.count(-1) > 1 or any(size < 1 and size != -1 for size in sizes):
        raise InputError(f"mesh {sizes}: sizes must be at least 1, and only one may be -1")
    if -1 in sizes and count % fixed == 0:
        sizes[sizes.index(-1)] = count // fixed
    if int(np.prod(sizes)) != count:
        raise InputError(
            f"mesh {' x '.join(AXES)} = {' x '.join(map(str, sizes))} does not cover {count} devices: "
            f"their product must be {count}, as with --mesh.data 1 --mesh.fsdp -1"
        )
    # Unlike jax.make_mesh, this can split a physical axis of the torus on every kind of chip.
    grid = mesh_utils.create_device_mesh(tuple(sizes), devices, allow_split_physical_axes=True)
    return Mesh(grid, AXES, axis_types=(AxisType.Auto,) * len(AXES))


def check_divides(config: TrainConfig, length: int, mesh: Mesh | AbstractMesh) -> None:
    """Raises InputError if the mesh does not divide the model, the batch or sequences of `length` tokens."""
    model, shape = config.model, mesh.shape
    batch, embed = shape["data"] * shape["fsdp"], shape["fsdp"] * shape["sequence"]
    for flag, parts, what, size in (
        ("--accumulation", config.accumulation, "--batch-size", config.batch_size),
        ("--mesh.data x fsdp", batch, "--batch-size / --accumulation", config.batch_size // config.accumulation),
        ("--mesh.fsdp x sequence", embed, "--model.width", model.width),
        ("--mesh.sequence", shape["sequence"], "sequences, in tokens,", length),
        ("--mesh.model", shape["model"], "--model.heads", model.heads),
        ("--mesh.model", shape["model"], "4 x --model.width", 4 * model.width),
        ("--mesh.model", shape["model"], "--model.vocab-size", model.vocab_size),
        ("--loss-chunks", config.loss_chunks * shape["sequence"], "sequences over --mesh.sequence, in tokens,", length),
    ):
        if size % parts:
            raise InputError(f"{flag} = {parts} does not divide {what} = {size}: {_divisors_near(size, parts)} would")


def _divisors_near(size: int, parts: int) -> str:
    divisors = [n for n in range(1, size + 1) if size % n == 0]
    below, above = [n for n in divisors if n < parts][-3:], [n for n in divisors if n > parts][:2]
    *others, last = map(str, below + above)
    return f"{', '.join(others)} or {last}" if others else last


def shardings(abstract_variables: object, mesh: Mesh) -> object:
    """NamedShardings for Flax variables boxed with logical axes; InputError if the mesh divides one unevenly."""
    specs = nn.get_partition_spec(abstract_variables)
    is_spec = {"is_leaf": lambda leaf: isinstance(leaf, PartitionSpec)}
    tree = jax.tree.map(lambda names: NamedSharding(mesh, spec(*names)), specs, **is_spec)
    shapes = nn.meta.unbox(abstract_variables)

    def check(path: tuple, leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> None:
        for size, axis in zip(leaf.shape, sharding.spec, strict=False):
            parts = int(np.prod([mesh.shape[name] for name in (axis if isinstance(axis, tuple) else (axis,)) if name]))
            if size % parts:
                name = jax.tree_util.keystr(path)
                raise InputError(f"{name}: size {size} is not divisible by mesh axis {axis!r} of {parts}")

    jax.tree_util.tree_map_with_path(check, shapes, tree)
    return tree


def current_mesh() -> Mesh | AbstractMesh | None:
    """The mesh set by jax.set_mesh, or None."""
    mesh: Any = jax.sharding.get_abstract_mesh()
    return None if mesh.empty else mesh


def platform() -> str:
    """cpu, gpu or tpu: the current mesh's platform (its devices may be absent), or else JAX's default backend."""
    device = jax.sharding.get_abstract_mesh().abstract_device
    return jax.default_backend() if device is None else device.platform


def constrain(x: jax.Array, *axes: Axis) -> jax.Array:
    """Splits x over the current mesh by its logical axes; returns x unchanged if there is no mesh."""
    return x if current_mesh() is None else jax.lax.with_sharding_constraint(x, spec(*axes))
