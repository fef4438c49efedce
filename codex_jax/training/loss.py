"""Next-token cross-entropy in float32, summed with its weights so that parts of a batch add up exactly."""

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
    """float32 [B, T]: 1 where tokens[:, 1:] counts. An end-of-text after an end-of-text is padding."""
    tokens = batch["tokens"]
    weights = ~((tokens[:, :-1] == eot) & (tokens[:, 1:] == eot))
    if "loss_mask" in batch:
        weights &= batch["loss_mask"][:, 1:] != 0
    return weights.astype(jnp.float32)


def cross_entropy(logits_BTV: jax.Array, targets_BT: jax.Array) -> jax.Array:
    """-> nats [B, T]. Only sums over the vocabulary: where it is split over a mesh, nothing is gathered."""
    largest = jax.lax.stop_gradient(logits_BTV.max(axis=-1, keepdims=True))
    shifted = logits_BTV - largest
    is_target = jax.lax.broadcasted_iota(jnp.int32, shifted.shape, 2) == targets_BT[..., None]
    return jnp.log(jnp.exp(shifted).sum(axis=-1)) - jnp.where(is_target, shifted, 0.0).sum(axis=-1)


def summed_loss(model: GPT, params: Any, batch: Batch, eot: int, chunks: int = 1) -> tuple[jax.Array, jax.Array]:
    """batch["tokens"]: int32 [B, T + 1] -> (sum of negative log-likelihoods in nats, sum of weights).

    With chunks the logits are made for so many parts of each sequence one after the other, and again in the backward
    pass: a little time for the memory of one part's.
    """
    inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    weights = target_weights(batch, eot)
    hidden: Any = model.apply({"params": params}, inputs, pack(inputs, eot), method=GPT.hidden)
    table: Any = model.apply({"params": params}, method=GPT.unembedding)

    def total(hidden: jax.Array, targets: jax.Array, weights: jax.Array, table: jax.Array) -> jax.Array:
        return (cross_entropy(logits(hidden, table), targets) * weights).sum()

    def in_chunks(hidden: jax.Array, targets: jax.Array, weights: jax.Array, table: jax.Array) -> jax.Array:
        def split(x: jax.Array) -> jax.Array:
            return jnp.moveaxis(x.reshape(x.shape[0], chunks, -1, *x.shape[2:]), 1, 0)

        parts = split(hidden), split(targets), split(weights)
        return jax.lax.map(lambda part: jax.checkpoint(total)(*part, table), parts).sum()

    loss = total if chunks == 1 else each_alone(in_chunks)
    return loss(hidden[0], targets, weights, table), weights.sum()


def each_alone(loss: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """The loss of the whole batch as the sum of its devices' own.

    The table's gradient is then summed over the chunks first and over the devices once, not chunk by chunk.
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
