"""Next-token cross-entropy in float32, summed with its weights so that parts of a batch add up exactly."""

from typing import Any

import jax
import jax.numpy as jnp

from codex_jax.model.gpt import GPT, logits, segments_and_positions

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


def summed_loss(
    model: GPT, params: Any, batch: Batch, eot: int, chunks: int = 1
) -> tuple[jax.Array, jax.Array]:
    """batch["tokens"]: int32 [B, T + 1] -> (sum of negative log-likelihoods in nats, sum of weights).

    The logits are made for 1 / chunks of each sequence at a time, and once more in the backward pass: a quarter of the
    products of one layer, for the memory of one chunk's.
    """
    inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    weights = target_weights(batch, eot)
    hidden: Any = model.apply({"params": params}, inputs, *segments_and_positions(inputs, eot), method=GPT.hidden)
    table: Any = model.apply({"params": params}, method=GPT.unembedding)

    def total(hidden: jax.Array, targets: jax.Array, weights: jax.Array) -> jax.Array:
        return (cross_entropy(logits(hidden, table), targets) * weights).sum()

    if chunks == 1:
        return total(hidden[0], targets, weights), weights.sum()

    def split(x: jax.Array) -> jax.Array:
        # Strided, so that each device keeps the part of the sequence it has.
        return jnp.moveaxis(x.reshape(x.shape[0], -1, chunks, *x.shape[2:]), 2, 0)

    def add(carry: jax.Array, chunk: tuple) -> tuple[jax.Array, None]:
        return carry + jax.checkpoint(total)(*chunk), None

    parts = split(hidden[0]), split(targets), split(weights)
    return jax.lax.scan(add, jnp.zeros(()), parts)[0], weights.sum()
