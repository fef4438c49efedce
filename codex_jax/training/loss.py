"""Next-token cross-entropy in float32, summed with its weights so that parts of a batch add up exactly."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from codex_jax.model.gpt import GPT, segments_and_positions

Batch = dict[str, jax.Array]


def target_weights(batch: Batch, eot: int) -> jax.Array:
    """float32 [B, T]: 1 where tokens[:, 1:] counts. An end-of-text after an end-of-text is padding."""
    tokens = batch["tokens"]
    weights = ~((tokens[:, :-1] == eot) & (tokens[:, 1:] == eot))
    if "loss_mask" in batch:
        weights &= batch["loss_mask"][:, 1:] != 0
    return weights.astype(jnp.float32)


def summed_loss(model: GPT, params: Any, batch: Batch, eot: int) -> tuple[jax.Array, jax.Array]:
    """batch["tokens"]: int32 [B, T + 1] -> (sum of negative log-likelihoods in nats, sum of weights)."""
    inputs, targets = batch["tokens"][:, :-1], batch["tokens"][:, 1:]
    segments, positions = segments_and_positions(inputs, eot)
    logits, _ = model.apply({"params": params}, inputs, segments, positions)
    weights = target_weights(batch, eot)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, targets)
    return (losses * weights).sum(), weights.sum()
