"""Digests of trees of arrays, computed on the devices that hold them, whatever the mesh."""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_ODD = (0x9E3779B1, 0x85EBCA6B)  # multipliers that spread the bits of an integer


def digest(tree: Any) -> tuple[int, bool]:
    """(a 32-bit digest of all bits and their places in the tree, whether all numbers are finite).

    The digest is a sum of integers, so it is the same for every layout of the arrays over devices.
    """
    # One program per shape, since most arrays share theirs: one program for a whole tree takes longer to compile.
    parts = [
        _leaf_digest(_on_device(leaf), np.uint32(zlib.crc32(jax.tree_util.keystr(path).encode())))
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]
    return sum(int(total) for total, _ in parts) % 2**32, all(bool(finite) for _, finite in parts)


def _on_device(leaf: jax.Array) -> jax.Array:
    offloaded = leaf.sharding.memory_kind == "pinned_host"
    return jax.device_put(leaf, leaf.sharding.with_memory_kind("device")) if offloaded else leaf


@jax.jit
def _leaf_digest(leaf: jax.Array, salt: jax.Array) -> tuple[jax.Array, jax.Array]:
    width = {2: jnp.uint16, 4: jnp.uint32}[leaf.dtype.itemsize]
    bits = jax.lax.bitcast_convert_type(leaf, width).astype(jnp.uint32)
    place = salt.astype(jnp.uint32)
    for axis in range(leaf.ndim):
        place = (place ^ jax.lax.broadcasted_iota(jnp.uint32, leaf.shape, axis)) * jnp.uint32(_ODD[0])
    mixed = (bits ^ place) * jnp.uint32(_ODD[1])
    return (mixed ^ mixed >> 15).sum(dtype=jnp.uint32), jnp.isfinite(leaf).all()
