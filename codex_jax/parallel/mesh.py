"""The device mesh, and the one table from logical axes to mesh axes."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from codex_jax.config import MeshConfig
from codex_jax.errors import InputError

AXES = ("data", "fsdp", "model")

# Parameters are split over fsdp along the embedding and over model along heads, MLP and vocabulary.
RULES: tuple[tuple[str, str | tuple[str, ...] | None], ...] = (
    ("batch", ("data", "fsdp")),
    ("length", None),
    ("activation", None),
    ("layers", None),
    ("qkv", None),
    ("head", None),
    ("position", None),
    ("embed", "fsdp"),
    ("heads", "model"),
    ("mlp", "model"),
    ("vocab", "model"),
)

BATCH = PartitionSpec(("data", "fsdp"))


def make_mesh(config: MeshConfig, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh data x fsdp x model over the devices (default: all); InputError when its sizes do not cover them."""
    sizes = [config.data, config.fsdp, config.model]
    count = jax.device_count() if devices is None else len(devices)
    fixed = int(np.prod([size for size in sizes if size != -1]))
    if sizes.count(-1) > 1 or any(size < 1 and size != -1 for size in sizes):
        raise InputError(f"mesh {sizes}: sizes are at least 1, and one axis at most may be -1")
    if -1 in sizes and count % fixed == 0:
        sizes[sizes.index(-1)] = count // fixed
    if int(np.prod(sizes)) != count:
        raise InputError(
            f"mesh data x fsdp x model = {' x '.join(map(str, sizes))} does not cover {count} devices: "
            f"their product must be {count}"
        )
    return jax.make_mesh(tuple(sizes), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices)


def shardings(abstract_variables: object, mesh: Mesh) -> object:
    """NamedShardings of a tree of logically partitioned variables; InputError where an axis does not divide."""
    specs = nn.get_partition_spec(abstract_variables)
    tree = nn.logical_to_mesh_sharding(specs, mesh, RULES)
    shapes = nn.meta.unbox(abstract_variables)

    def check(path: tuple, leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> None:
        for size, axis in zip(leaf.shape, sharding.spec, strict=False):
            ways = int(np.prod([mesh.shape[name] for name in (axis if isinstance(axis, tuple) else (axis,)) if name]))
            if size % ways:
                name = jax.tree_util.keystr(path)
                raise InputError(f"{name}: size {size} does not divide over mesh axis {axis!r} of {ways}")

    jax.tree_util.tree_map_with_path(check, shapes, tree)
    return tree
