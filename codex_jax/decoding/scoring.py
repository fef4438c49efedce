"""The log probability of a given completion, for ranking and back-translation."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.decoding.scheduler import BUCKET
from codex_jax.errors import InputError
from codex_jax.model.decode import Weights, forward, head

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
    batch, length, width = x.shape
    targets = jnp.roll(tokens_BT, -1, axis=1)

    def chunk(part: tuple[Array, Array]) -> Array:
        x, target = part
        logits = head(config, weights, x)[..., :vocab_size]
        picked = jnp.take_along_axis(logits, target[..., None], axis=-1)[..., 0]
        return picked - jax.nn.logsumexp(logits, axis=-1)

    parts = x.reshape(batch, -1, CHUNK, width).swapaxes(0, 1), targets.reshape(batch, -1, CHUNK).swapaxes(0, 1)
    logps = jax.lax.map(chunk, parts).swapaxes(0, 1).reshape(batch, length)
    return jnp.roll(logps, 1, axis=1).at[:, 0].set(0.0)


class Scorer:
    """A model ready to score."""

    def __init__(self, config: ModelConfig, weights: Weights, eot: int, vocab_size: int) -> None:
        """weights: as a Sampler keeps them."""
        self._config, self._weights, self._eot = config, weights, eot
        self._logps = jax.jit(partial(token_logps, config, eot, vocab_size))

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch: int = 8) -> Iterator[Score]:
        """One for each (prompt's tokens behind an end-of-text, completion's tokens), in their order."""
        for prompt, completion in pairs:
            if len(prompt) + len(completion) > self._config.context:
                raise InputError(
                    f"a prompt of {len(prompt)} tokens with a completion of {len(completion)} is longer than the "
                    f"context of {self._config.context}: shorten one"
                )
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            longest = max(len(prompt) + len(completion) for prompt, completion in part)
            tokens = np.full((batch, -(-longest // BUCKET) * BUCKET), self._eot, np.int32)
            for row, (prompt, completion) in enumerate(part):
                tokens[row, : len(prompt) + len(completion)] = [*prompt, *completion]
            logps = np.asarray(self._logps(self._weights, tokens))
            for row, (prompt, completion) in enumerate(part):
                own = logps[row, len(prompt) : len(prompt) + len(completion)]
                total = float(own.sum(dtype=np.float64))
                yield Score(len(completion), total / max(len(completion), 1), total)
