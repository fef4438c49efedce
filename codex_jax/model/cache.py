"""The KV cache as plain arrays: the keys and values of each prompt, shared by its samples, and of each sample.

Axes: G prompts, P positions of a prompt, B rows (samples), S slots, H heads, D head size.
"""

from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.model.geometry import head_dim
from codex_jax.parallel.mesh import platform

Array = jax.Array
Blocks = tuple[Array, ...]  # one layer's blocks of slots, in order

SLOTS = 32  # a block has a multiple of this many slots
# The most slots of a block. A decoding step takes time for every slot it reads on a CPU, for every block elsewhere.
MAX_BLOCK_CPU, MAX_BLOCK = 64, 160


class Prefix(NamedTuple):
    """Keys and values of G prompts, each shared by its samples. Layers are separate arrays, to be read in place."""

    key: tuple[Array, ...]  # per layer [G, H, P, D] in the compute dtype
    value: tuple[Array, ...]
    length: Array  # int32 [G]: the positions in use

    def write(self, groups_K: Array, keys: tuple[Array, ...], values: tuple[Array, ...], length_K: Array) -> "Prefix":
        """Replaces the prompts of K groups by [K, H, P, D] per layer, in place if donated; drops unknown groups."""

        def put(current: Array, new: Array) -> Array:
            return current.at[groups_K].set(new, mode="drop")

        return Prefix(tuple(map(put, self.key, keys)), tuple(map(put, self.value, values)), put(self.length, length_K))


class Suffix(NamedTuple):
    """Each row's own keys and values: token n of a sample is in slot n.

    Layers, and blocks of slots in a layer, are separate arrays: they are read in place, and unused blocks not at all.
    """

    key: tuple[Blocks, ...]  # per layer, blocks [B, H, S, D] in the compute dtype
    value: tuple[Blocks, ...]
    length: Array  # int32 [B]: the slots in use

    def starts(self) -> list[int]:
        """The first slot of each block."""
        return list(accumulate((block.shape[2] for block in self.key[0][:-1]), initial=0))

    def append(self, keys: tuple[Array, ...], values: tuple[Array, ...], rows_B: Array) -> "Suffix":
        """Appends [B, H, D] per layer to the rows where rows_B (bool) is True; in place if the suffix is donated."""
        starts = self.starts()

        def put(block: Array, new: Array, start: int) -> Array:
            in_block = rows_B & (self.length >= start)
            slot_B = jnp.where(in_block, self.length - start, block.shape[2])  # out of bounds: dropped
            return _put_slot(block, new, slot_B)

        def put_all(layers: tuple[Blocks, ...], news: tuple[Array, ...]) -> tuple[Blocks, ...]:
            return tuple(
                tuple(put(block, new, start) for block, start in zip(blocks, starts, strict=True))
                for blocks, new in zip(layers, news, strict=True)
            )

        return Suffix(put_all(self.key, keys), put_all(self.value, values), self.length + rows_B)


def next_positions(prefix: Prefix, suffix: Suffix) -> Array:
    """int32 [B]: the position of each row's next token."""
    rows = suffix.length.shape[0] // prefix.length.shape[0]
    return jnp.repeat(prefix.length, rows) + suffix.length


def _put_slot(block_BHSD: Array, new_BHD: Array, slot_B: Array) -> Array:
    # On a TPU, scattering each head on its own keeps the array's layout (for heads at least 128 wide). Scattering
    # whole [H, D] windows would change it at every step.
    if platform() == "tpu":
        batch, heads = block_BHSD.shape[:2]
        at = block_BHSD.at[jnp.arange(batch)[:, None], jnp.arange(heads), slot_B[:, None]]
        return at.set(new_BHD, mode="drop", unique_indices=True)
    # Elsewhere, only a scatter with batch axes needs no communication between devices. A TPU would transpose it.
    put_each = jax.vmap(lambda block_SD, new_D, slot: block_SD.at[slot].set(new_D, mode="drop"), in_axes=(0, 0, None))
    return jax.vmap(put_each)(block_BHSD, new_BHD, slot_B)


def empty_prefix(config: ModelConfig, groups: int, positions: int) -> Prefix:
    """`groups` empty prompts, with room for `positions` tokens each."""
    shape = (groups, config.heads, positions, head_dim(config))

    def layers() -> tuple[Array, ...]:
        return tuple(jnp.zeros(shape, config.compute_dtype) for _ in range(config.layers))

    return Prefix(layers(), layers(), jnp.zeros(groups, jnp.int32))


def empty_suffix(config: ModelConfig, batch: int, slots: int) -> Suffix:
    """Room for at least `slots` tokens for each of `batch` rows."""
    sizes = block_sizes(slots, MAX_BLOCK_CPU if platform() == "cpu" else MAX_BLOCK)

    def layers() -> tuple[Blocks, ...]:
        shapes = [(batch, config.heads, size, head_dim(config)) for size in sizes]
        return tuple(tuple(jnp.zeros(shape, config.compute_dtype) for shape in shapes) for _ in range(config.layers))

    return Suffix(layers(), layers(), jnp.zeros(batch, jnp.int32))


def block_sizes(slots: int, limit: int) -> list[int]:
    """Sizes of the fewest blocks of at most `limit` slots for `slots` slots: nearly equal multiples of SLOTS."""
    units, count = -(-slots // SLOTS), -(-slots // limit)
    return [SLOTS * (units * (n + 1) // count - units * n // count) for n in range(count)]


def cache_bytes(config: ModelConfig, tokens: int) -> int:
    """Bytes of the keys and values of `tokens` tokens."""
    return 2 * config.layers * config.heads * head_dim(config) * tokens * jnp.dtype(config.compute_dtype).itemsize
