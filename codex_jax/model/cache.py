"""The KV cache as plain arrays, passed in and handed back; layers lead, as the layers are scanned."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig

Array = jax.Array


class Cache(NamedTuple):
    """Keys and values of a prefix shared by all samples and of each sample's own suffix.

    prefix_key, prefix_value: [layers, P, heads, head_dim]; suffix_key, suffix_value: [layers, B, S, heads,
    head_dim], in the compute dtype; prefix_length, suffix_length: int32 [], the slots in use.
    """

    prefix_key: Array
    prefix_value: Array
    suffix_key: Array
    suffix_value: Array
    prefix_length: Array
    suffix_length: Array


def empty_suffix(
    config: ModelConfig, keys: Array, values: Array, prefix_length: Array, batch: int, slots: int
) -> Cache:
    """A cache of a prefilled prefix ([layers, P, heads, head_dim]) and `slots` free places for each sample."""
    shape = (config.layers, batch, slots, config.heads, config.width // config.heads)
    return Cache(
        keys,
        values,
        jnp.zeros(shape, keys.dtype),
        jnp.zeros(shape, values.dtype),
        jnp.asarray(prefix_length, jnp.int32),
        jnp.zeros((), jnp.int32),
    )
