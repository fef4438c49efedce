"""The KV cache as plain arrays, passed in and handed back: prompts' places are kept once, samples' own beside them."""

from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.parallel.mesh import current_mesh, platform_of

Array = jax.Array

SLOTS = 32  # a suffix has a multiple of them
# Slots of a block, at most: on a CPU a step takes time for every slot it reads, on others for every block.
FEW, MANY = 64, 160


class Prefix(NamedTuple):
    """Keys and values of G prompts, each kept once for all its samples.

    key, value: a layer each [G, heads, P, head_dim] in the compute dtype; length: int32 [G], the places in use.
    Layers lie apart, so that a product reads one where it is.
    """

    key: tuple[Array, ...]
    value: tuple[Array, ...]
    length: Array

    def place(self, groups_K: Array, keys: tuple[Array, ...], values: tuple[Array, ...], length_K: Array) -> "Prefix":
        """With K groups holding other prompts, of [K, heads, P, head_dim] a layer: in place where donated.

        Groups beyond the last are dropped.
        """

        def put(kept: Array, new: Array) -> Array:
            return kept.at[groups_K].set(new, mode="drop")

        return Prefix(tuple(map(put, self.key, keys)), tuple(map(put, self.value, values)), put(self.length, length_K))


class Suffix(NamedTuple):
    """Each row's own keys and values.

    key, value: of each layer, blocks of slots [B, heads, S, head_dim] in the compute dtype, one behind the other;
    length: int32 [B], the slots in use. Blocks lie apart, so that a product reads one where it is and none of those
    that no row has reached. A row's token n lies in its slot n whenever the row began, so that its sums run in one
    order.
    """

    key: tuple[tuple[Array, ...], ...]
    value: tuple[tuple[Array, ...], ...]
    length: Array

    def starts(self) -> list[int]:
        """The first slot of each block."""
        return list(accumulate((block.shape[2] for block in self.key[0][:-1]), initial=0))

    def append(self, keys: tuple[Array, ...], values: tuple[Array, ...], rows_B: Array) -> "Suffix":
        """With the next slot of `rows_B` (bool) filled, by a layer's [B, heads, head_dim]: in place where donated."""
        starts = self.starts()

        def put(kept: Array, new: Array, start: int) -> Array:
            own = rows_B & (self.length >= start)
            slot_B = jnp.where(own, self.length - start, kept.shape[2])  # out of bounds: dropped
            return _put(kept, new, slot_B)

        def each(layers: tuple, news: tuple[Array, ...]) -> tuple:
            return tuple(
                tuple(put(block, new, start) for block, start in zip(blocks, starts, strict=True))
                for blocks, new in zip(layers, news, strict=True)
            )

        return Suffix(each(self.key, keys), each(self.value, values), self.length + rows_B)


def _put(kept_BHSD: Array, new_BHD: Array, slot_B: Array) -> Array:
    # A scatter of one slot for each row and head takes the array as it lies in memory. Of windows over heads, the
    # compiler would lay all of it out anew at every step; on a TPU it still does with heads narrower than 128.
    if platform_of(current_mesh()) == "tpu":
        batch, heads = kept_BHSD.shape[:2]
        at = kept_BHSD.at[jnp.arange(batch)[:, None], jnp.arange(heads), slot_B[:, None]]
        return at.set(new_BHD, mode="drop", unique_indices=True)
    # By batched axes, which a TPU would transpose; on other meshes only these send nothing between devices.
    each = jax.vmap(lambda kept_SD, new_D, slot: kept_SD.at[slot].set(new_D, mode="drop"), in_axes=(0, 0, None))
    return jax.vmap(each)(kept_BHSD, new_BHD, slot_B)


def empty_prefix(config: ModelConfig, groups: int, places: int) -> Prefix:
    """`groups` prompts of no tokens, with room for `places` each."""
    shape = (groups, config.heads, places, config.width // config.heads)

    def layers() -> tuple[Array, ...]:
        return tuple(jnp.zeros(shape, config.compute_dtype) for _ in range(config.layers))

    return Prefix(layers(), layers(), jnp.zeros(groups, jnp.int32))


def empty_suffix(config: ModelConfig, batch: int, slots: int) -> Suffix:
    """At least `slots` free slots for each of `batch` rows."""
    sizes = block_sizes(slots, FEW if platform_of(current_mesh()) == "cpu" else MANY)

    def layers() -> tuple[tuple[Array, ...], ...]:
        shapes = [(batch, config.heads, size, config.width // config.heads) for size in sizes]
        return tuple(tuple(jnp.zeros(shape, config.compute_dtype) for shape in shapes) for _ in range(config.layers))

    return Suffix(layers(), layers(), jnp.zeros(batch, jnp.int32))


def block_sizes(slots: int, most: int) -> list[int]:
    """Of as few blocks as hold so many slots, none of more than `most`: much the same, and multiples of SLOTS."""
    units, count = -(-slots // SLOTS), -(-slots // most)
    return [SLOTS * (units * (n + 1) // count - units * n // count) for n in range(count)]


def bytes_of(config: ModelConfig, places: int) -> int:
    """What the keys and values of so many tokens take."""
    return 2 * config.layers * config.width * places * jnp.dtype(config.compute_dtype).itemsize
