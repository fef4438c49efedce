"""The log probability of a given completion, for ranking and back-translation."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.errors import InputError
from codex_jax.model.decode import Weights, forward, head
from codex_jax.sampling.scheduler import BUCKET
from codex_jax.training.loss import map_chunks

Array = jax.Array

CHUNK = 64  # positions whose logits are made at a time


class Score(NamedTuple):
    """Of a completion's tokens: log probabilities (nats, temperature 1)."""

    tokens: int
    mean_logp: float
    sum_logp: float


def token_logps(config: ModelConfig, eot: int, vocab_size: int, weights: Weights, tokens_BT: Array) -> Array:
    """float32 [B, T]: of each token after those before it; the first one's is 0. T: a multiple of CHUNK."""
    x, _, _ = forward(config, weights, tokens_BT, eot)
    batch, length, _ = x.shape
    targets = jnp.roll(tokens_BT, -1, axis=1)

    def chunk(x: Array, targets: Array) -> Array:
        logits = head(config, weights, x)[..., :vocab_size]
        picked = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
        return picked - jax.nn.logsumexp(logits, axis=-1)

    logps = map_chunks(chunk, length // CHUNK, x, targets).swapaxes(0, 1).reshape(batch, length)
    return jnp.roll(logps, 1, axis=1).at[:, 0].set(0.0)


def scores(
    logps: Callable[[np.ndarray], np.ndarray],
    pairs: Sequence[tuple[Sequence[int], Sequence[int]]],
    batch: int,
    context: int,
    eot: int,
) -> Iterator[Score]:
    """One for each (prompt's tokens behind an end-of-text, completion's tokens), in their order.

    logps: token_logps of a batch, int32 [B, T]; InputError where a pair is longer than the context.
    """
    for prompt, completion in pairs:
        if len(prompt) + len(completion) > context:
            raise InputError(
                f"a prompt of {len(prompt)} tokens with a completion of {len(completion)} is longer than the "
                f"context of {context}: shorten one"
            )
    for start in range(0, len(pairs), batch):
        part = pairs[start : start + batch]
        longest = max(len(prompt) + len(completion) for prompt, completion in part)
        tokens = np.full((batch, -(-longest // BUCKET) * BUCKET), eot, np.int32)
        for row, (prompt, completion) in enumerate(part):
            tokens[row, : len(prompt) + len(completion)] = [*prompt, *completion]
        found = logps(tokens)
        for row, (prompt, completion) in enumerate(part):
            own = found[row, len(prompt) : len(prompt) + len(completion)]
            total = float(own.sum(dtype=np.float64))
            yield Score(len(completion), total / max(len(completion), 1), total)
