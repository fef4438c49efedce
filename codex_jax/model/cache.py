"""The KV cache as plain arrays, passed in and handed back; layers lead, as the layers are scanned."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig

Array = jax.Array


class Prefix(NamedTuple):
    """A prompt's keys and values, kept once for all its samples.

    key, value: [layers, P, heads, head_dim] in the compute dtype; length: int32 [], the places in use.
    """

    key: Array
    value: Array
    length: Array


class Suffix(NamedTuple):
    """Each sample's own keys and values.

    key, value: [layers, B, heads, S, head_dim] in the compute dtype, so that a head's places lie side by side;
    length: int32 [], the places in use.
    """

    key: Array
    value: Array
    length: Array

    def append(self, key: Array, value: Array) -> "Suffix":
        """With one more place, of [layers, B, heads, head_dim], for all layers at once: in place where donated."""
        start = (0, 0, 0, self.length, 0)
        return Suffix(
            jax.lax.dynamic_update_slice(self.key, key[:, :, :, None], start),
            jax.lax.dynamic_update_slice(self.value, value[:, :, :, None], start),
            self.length + 1,
        )


def empty_suffix(config: ModelConfig, batch: int, slots: int) -> Suffix:
    """`slots` free places for each of `batch` samples."""
    shape = (config.layers, batch, config.heads, slots, config.width // config.heads)
    dtype = jnp.dtype(config.compute_dtype)
    return Suffix(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), jnp.zeros((), jnp.int32))
