"""The KV cache as plain arrays, passed in and handed back: prompts' places are kept once, samples' own beside them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.parallel.mesh import current_mesh, platform_of

Array = jax.Array

SLOTS = 32  # of a suffix that are read at a time, on a CPU: see Suffix.span


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

    key, value: [layers, B, heads, S, head_dim] in the compute dtype; length: int32 [B], the slots in use. A row's
    token n lies in its slot n whenever the row began, so that its sums run in one order.
    """

    key: Array
    value: Array
    length: Array

    def span(self) -> int:
        """How many slots are read at a time: on a CPU SLOTS, as it takes long for each; else up to five times that."""
        if platform_of(current_mesh()) == "cpu":
            return SLOTS
        return max(size for size in range(SLOTS, 5 * SLOTS + 1, SLOTS) if self.key.shape[3] % size == 0)

    def append(self, key: Array, value: Array, rows_B: Array) -> "Suffix":
        """With the next slot of `rows_B` (bool) filled, by [layers, B, heads, head_dim]: in place where donated."""
        layers, batch, heads, slots, _ = self.key.shape
        slot_B = jnp.where(rows_B, self.length, slots)  # out of bounds: dropped
        # Every axis but the last has an index: a scatter of whole rows takes the array as it lies in memory. Of windows
        # over layers and heads, the compiler would lay all of it out anew at every step; on a TPU
        # it still does with heads narrower than 128.
        place = jnp.arange(layers)[:, None, None], jnp.arange(batch)[:, None], jnp.arange(heads), slot_B[:, None]

        def put(kept: Array, new: Array) -> Array:
            return kept.at[place].set(new, mode="drop", unique_indices=True)

        return Suffix(put(self.key, key), put(self.value, value), self.length + rows_B)


def empty_prefix(config: ModelConfig, groups: int, places: int) -> Prefix:
    """`groups` prompts of no tokens, with room for `places` each."""
    shape = (groups, config.heads, places, config.width // config.heads)

    def layers() -> tuple[Array, ...]:
        return tuple(jnp.zeros(shape, config.compute_dtype) for _ in range(config.layers))

    return Prefix(layers(), layers(), jnp.zeros(groups, jnp.int32))


def empty_suffix(config: ModelConfig, batch: int, slots: int) -> Suffix:
    """At least `slots` free slots for each of `batch` rows."""
    slots = -(-slots // SLOTS) * SLOTS
    shape = (config.layers, batch, config.heads, slots, config.width // config.heads)
    return Suffix(
        jnp.zeros(shape, config.compute_dtype), jnp.zeros(shape, config.compute_dtype), jnp.zeros(batch, jnp.int32)
    )


def bytes_of(config: ModelConfig, places: int) -> int:
    """What the keys and values of so many tokens take."""
    return 2 * config.layers * config.width * places * jnp.dtype(config.compute_dtype).itemsize
