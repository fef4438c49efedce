"""Next-token cross-entropy in float32, as sums of losses and of weights, so that parts of a batch add up exactly."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import PartitionSpec

from codex_jax.model.context import pack
from codex_jax.model.gpt import GPT
from codex_jax.model.product import logits
from codex_jax.parallel.mesh import AXES, current_mesh, spec

Batch = dict[str, jax.Array]


def target_weights(batch: Batch, eot: int) -> jax.Array:
    """float32 [B, T]: 1 for each of tokens[:, 1:] that is a target, else 0.

    Tokens with loss_mask 0 are not targets, and neither is padding, which is end-of-text after end-of-text.
    """
    tokens = batch["tokens"]
    weights = ~((tokens[:, :-1] == eot) & (tokens[:, 1:] == eot))
    if "loss_mask" in batch:
        weights &= batch["loss_mask"][:, 1:] != 0
    return weights.astype(jnp.float32)


def cross_entropy(logits_BTV: jax.Array, targets_BT: jax.Array) -> jax.Array:
    """-> nats [B, T]. It only sums over the vocabulary, so logits that are split over a mesh need no gathering."""
    largest = jax.lax.stop_gradient(logits_BTV.max(axis=-1, keepdims=True))
    shifted = logits_BTV - largest
    is_target = jax.lax.broadcasted_iota(jnp.int32, shifted.shape, 2) == targets_BT[..., None]
    return jnp.log(jnp.exp(shifted).sum(axis=-1)) - jnp.where(is_target, shifted, 0.0).sum(axis=-1)


def map_chunks(function: Callable[..., jax.Array], chunks: int, *arrays: jax.Array) -> jax.Array:
    """Applies the function to `chunks` equal parts of the sequences in turn -> its results, stacked along axis 0.

    arrays: [B, T, ...]. Logits, by far the largest activation, then exist for one part at a time.
    """

    def split(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x.reshape(x.shape[0], chunks, -1, *x.shape[2:]), 1, 0)

    return jax.lax.map(lambda part: function(*part), tuple(map(split, arrays)))


def summed_loss(model: GPT, params: Any, batch: Batch, eot: int, chunks: int = 1) -> tuple[jax.Array, jax.Array]:
    """batch["tokens"]: int32 [B, T + 1] -> (sum of negative log-likelihoods in nats, sum of weights).

    With chunks > 1 the logits of one part at a time are computed, and recomputed in the backward pass, to save memory.
    """
    inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    weights = target_weights(batch, eot)
    hidden: Any = model.apply({"params": params}, inputs, pack(inputs, eot), method=GPT.hidden)
    table: Any = model.apply({"params": params}, method=GPT.unembedding)

    def whole(hidden: jax.Array, targets: jax.Array, weights: jax.Array, table: jax.Array) -> jax.Array:
        return (cross_entropy(logits(hidden, table), targets) * weights).sum()

    def in_chunks(hidden: jax.Array, targets: jax.Array, weights: jax.Array, table: jax.Array) -> jax.Array:
        return map_chunks(lambda *part: jax.checkpoint(whole)(*part, table), chunks, hidden, targets, weights).sum()

    loss = whole if chunks == 1 else per_device(in_chunks)
    return loss(hidden[0], targets, weights, table), weights.sum()


def per_device(loss: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The same loss, computed by each device for its own part of the batch and then summed over the devices.

    The gradient of the embedding table is thus summed over the devices only once, and not for each chunk.
    """
    mesh = current_mesh()
    if mesh is None:
        return loss
    axes = tuple(axis for axis in AXES if axis != "model")
    rows = spec("batch", "length")

    def local(*operands: jax.Array) -> jax.Array:
        *rows, table = operands
        return jax.lax.psum(loss(*rows, jax.lax.pcast(table, axes, to="varying")), axes)

    specs = (rows, rows, rows, PartitionSpec())
    return jax.shard_map(local, in_specs=specs, out_specs=PartitionSpec(), axis_names=set(axes))
