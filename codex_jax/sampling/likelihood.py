"""The log probability of a given completion, for ranking and back-translation."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.model.decode import Weights, forward, head
from codex_jax.training.loss import map_chunks

Array = jax.Array

CHUNK = 64  # positions whose logits are in memory at a time


class Score(NamedTuple):
    """How many tokens a completion has, and their log probability in nats at temperature 1."""

    tokens: int
    mean_logp: float
    sum_logp: float


def token_logps(config: ModelConfig, eot: int, vocab_size: int, weights: Weights, tokens_BT: Array) -> Array:
    """float32 [B, T]: each token's log probability given the tokens before it; 0 for the first.

    T must be a multiple of CHUNK. Logits beyond vocab_size are padding.
    """
    x, _, _ = forward(config, weights, tokens_BT, eot)
    batch, length, _ = x.shape
    targets = jnp.roll(tokens_BT, -1, axis=1)

    def chunk(x: Array, targets: Array) -> Array:
        logits = head(config, weights, x)[..., :vocab_size]
        target_logits = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        return target_logits - jax.nn.logsumexp(logits, axis=-1)

    logps = map_chunks(chunk, length // CHUNK, x, targets).swapaxes(0, 1).reshape(batch, length)
    return jnp.roll(logps, 1, axis=1).at[:, 0].set(0.0)
