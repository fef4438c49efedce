"""The GPT with a KV cache: computes whole prompts, then one token per row at a time.

Each layer has its own weight arrays and the loop over layers is unrolled: a scan would copy the weights at every step.
"""

import dataclasses
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.model.cache import Prefix, Suffix
from codex_jax.model.context import CachedContext, pack
from codex_jax.model.geometry import layer_windows
from codex_jax.model.gpt import GPT, Block

Array = jax.Array
Layers = tuple[Array, ...]  # one array per layer


class Weights(NamedTuple):
    """The parameters of a model, one tree per layer."""

    outer: Any  # embeddings and the final norm
    layers: tuple[Any, ...]


def unstack(params: Any, free: bool = False) -> Weights:
    """Splits the parameter tree into layers; free: deletes each stacked array once it is split."""
    leaves, tree = jax.tree.flatten(params["blocks"])
    separated = []
    for leaf in leaves:
        separated.append(_split_layers(leaf))
        if free:
            leaf.delete()
    outer = {name: tree for name, tree in params.items() if name != "blocks"}
    return Weights(outer, tuple(jax.tree.unflatten(tree, layer) for layer in zip(*separated, strict=True)))


@jax.jit
def _split_layers(leaf: Array) -> Layers:
    return tuple(leaf)


def forward(config: ModelConfig, weights: Weights, tokens_BT: Array, eot: int) -> tuple[Array, Layers, Layers]:
    """Whole texts -> (the last layer's output [B, T, C], keys, values [B, H, T, D] per layer).

    Each text begins with an end-of-text token. Padding after a text does not change its results.
    """
    context = pack(tokens_BT, eot)
    x = _apply(GPT(config), weights.outer, tokens_BT, context.positions_BT, method=GPT.embed)
    keys, values = [], []
    for layer, window in zip(weights.layers, layer_windows(config), strict=True):
        x, (key, value) = _apply(Block(config), layer, x, context, window)
        keys.append(key.swapaxes(1, 2))
        values.append(value.swapaxes(1, 2))
    return x, tuple(keys), tuple(values)


def decode(
    config: ModelConfig, weights: Weights, token_B: Array, prefix: Prefix, suffix: Suffix, live_B: Array
) -> tuple[Array, Layers, Layers]:
    """One token per row -> (logits float32 [B, V], keys, values [B, H, D] per layer), valid where live_B (bool)."""
    context = CachedContext(prefix, suffix, longest=jnp.where(live_B, suffix.length, 0).max())
    x = _apply(GPT(config), weights.outer, token_B[:, None], context.positions_BT, method=GPT.embed)
    keys, values = [], []
    for n, (layer, window) in enumerate(zip(weights.layers, layer_windows(config), strict=True)):
        x, (key, value) = _apply(Block(config), layer, x, dataclasses.replace(context, layer=n), window)
        keys.append(key[:, 0])
        values.append(value[:, 0])
    return head(config, weights, x)[:, 0], tuple(keys), tuple(values)


def head(config: ModelConfig, weights: Weights, x_BTC: Array) -> Array:
    """The last layer's output -> logits float32 [B, T, V]."""
    return _apply(GPT(config), weights.outer, x_BTC, method=GPT.head)


def _apply(module: nn.Module, params: Any, *args: Any, **settings: Any) -> Any:
    return cast(Any, module.apply({"params": params}, *args, **settings))
