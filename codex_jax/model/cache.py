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

    key, value: [layers, B, S, heads, head_dim] in the compute dtype; length: int32 [], the places in use.
    """

    key: Array
    value: Array
    length: Array


def empty_suffix(config: ModelConfig, batch: int, slots: int) -> Suffix:
    """`slots` free places for each of `batch` samples."""
    shape = (config.layers, batch, slots, config.heads, config.width // config.heads)
    dtype = jnp.dtype(config.compute_dtype)
    return Suffix(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype), jnp.zeros((), jnp.int32))
