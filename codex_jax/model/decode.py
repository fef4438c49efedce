"""The GPT over a cache: a prompt's keys and values, then one token of each row at a time.

The layers' weights lie apart and the loop over layers is unrolled: in a scan each step would copy every weight.
"""

import dataclasses
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.model.attention import attend_cached
from codex_jax.model.cache import Prefix, Suffix
from codex_jax.model.geometry import layer_windows
from codex_jax.model.gpt import GPT, Block, segments_and_positions

Array = jax.Array


class Weights(NamedTuple):
    """outer: embeddings and the last norm; layers: a tree a layer."""

    outer: Any
    layers: tuple[Any, ...]


def unstack(params: Any, free: bool = False) -> Weights:
    """A model's parameters with its layers apart. free: each stacked one is deleted when it is taken apart."""
    leaves, tree = jax.tree.flatten(params["blocks"])
    outer = {name: tree for name, tree in params.items() if name != "blocks"}
    apart = []
    for leaf in leaves:
        apart.append(_parts(leaf))
        if free:
            leaf.delete()
    return Weights(outer, tuple(jax.tree.unflatten(tree, layer) for layer in zip(*apart, strict=True)))


@jax.jit
def _parts(leaf: Array) -> tuple[Array, ...]:
    return tuple(leaf)


def forward(config: ModelConfig, weights: Weights, tokens_BT: Array, eot: int) -> tuple[Array, tuple, tuple]:
    """(what leaves the last layer [B, T, C], keys, values: a layer each [B, H, T, D]) of whole texts.

    Every text begins with an end-of-text; what follows it changes none of its own.
    """
    segments, positions = segments_and_positions(tokens_BT, eot)
    x = _apply(GPT(config), weights.outer, tokens_BT, positions, method=GPT.embed)
    windows = layer_windows(config)
    keys, values = [], []
    for n, layer in enumerate(weights.layers):
        block = Block(dataclasses.replace(config, window=windows[n]))
        x, (key, value) = _apply(block, layer, x, segments, None)
        keys.append(key.swapaxes(1, 2))
        values.append(value.swapaxes(1, 2))
    return x, tuple(keys), tuple(values)


def decode(
    config: ModelConfig, weights: Weights, token_B: Array, prefix: Prefix, suffix: Suffix, live_B: Array
) -> tuple[Array, tuple, tuple]:
    """One token of each row -> (logits float32 [B, V], its keys, its values: a layer each [B, H, D]).

    live_B: bool; the others' logits mean nothing.
    """
    rows = token_B.shape[0] // prefix.length.shape[0]
    position_B = jnp.repeat(prefix.length, rows) + suffix.length
    longest = jnp.where(live_B, suffix.length, 0).max()
    x = _apply(GPT(config), weights.outer, token_B[:, None], position_B[:, None], method=GPT.embed)
    windows = layer_windows(config)
    keys, values = [], []
    for n, layer in enumerate(weights.layers):
        reach = windows[n] or None

        def attend(query: Array, key: Array, value: Array, n: int = n, reach: int | None = reach) -> Array:
            return attend_cached(query[:, 0], key[:, 0], value[:, 0], prefix, suffix, n, longest, reach)[:, None]

        x, (key, value) = _apply(Block(config), layer, x, None, None, attend)
        keys.append(key[:, 0])
        values.append(value[:, 0])
    return head(config, weights, x)[:, 0], tuple(keys), tuple(values)


def head(config: ModelConfig, weights: Weights, x: Array) -> Array:
    """Logits float32 [B, T, V] of what leaves the last layer."""
    return _apply(GPT(config), weights.outer, x, method=GPT.head)


def _apply(module: nn.Module, params: Any, *args: Any, **how: Any) -> Any:
    return cast(Any, module.apply({"params": params}, *args, **how))
