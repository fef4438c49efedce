"""A model's weights on a mesh, its tokenizer, and the compiled functions that sample from it and score text."""

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from codex_jax.config import ModelConfig
from codex_jax.errors import InputError
from codex_jax.model.cache import cache_bytes
from codex_jax.model.decode import Weights
from codex_jax.model.product import precise
from codex_jax.sampling.likelihood import CHUNK, Score, token_logps
from codex_jax.sampling.params import SamplingParams
from codex_jax.sampling.programs import copies_of, jitted, slots_for
from codex_jax.sampling.rows import StopTables, make_stop_tables
from codex_jax.text.encoding import is_utf8

CACHED_STOPS = 4  # sets of stop strings whose tables stay on the devices; each takes 0.2 s to build and about 10 MB


class Engine:
    """Its only state is the weights. All processes of a run must make the same calls with the same arguments."""

    def __init__(self, config: ModelConfig, weights: Weights, tokenizer: Any, mesh: Mesh) -> None:
        """weights: on the mesh; tokenizer: the one they were trained with."""
        self.config, self.weights, self.tokenizer, self.mesh = config, weights, tokenizer, mesh
        self.copies = copies_of(mesh)
        self.token_bytes = [tokenizer.token_bytes(n) for n in range(tokenizer.vocab_size)]
        self.programs = jitted(config, tokenizer.eot, mesh)
        replicated = NamedSharding(mesh, PartitionSpec())
        self.fetch = jax.jit(lambda tree: tree, out_shardings=replicated)
        logps = partial(precise(config, token_logps), config, tokenizer.eot, tokenizer.vocab_size)
        self.logps = jax.jit(logps, out_shardings=replicated)
        # A closure: caching a bound method would keep the weights alive.
        token_bytes, eot = self.token_bytes, tokenizer.eot

        @lru_cache(CACHED_STOPS)
        def stop_tables(stops: tuple[str, ...], min_tokens: bool) -> StopTables:
            return jax.device_put(make_stop_tables(stops, min_tokens, token_bytes, eot), replicated)

        self.stop_tables = stop_tables

    def encode(self, prompt: str, params: SamplingParams, truncate_left: bool = False) -> list[int]:
        """End-of-text and the prompt's tokens; InputError if they leave no room for a new token in the context.

        truncate_left: drops the beginning of a long prompt to make room for max_new_tokens, at most half the context.
        """
        if not is_utf8(prompt):
            raise InputError("the prompt is not UTF-8 text: it has half a surrogate pair")
        tokens, context = self.tokenizer.encode(prompt), self.config.context
        if truncate_left:
            room = max(context - params.max_new_tokens, context // 2, 2) - 1
            tokens = tokens[-room:]
        if len(tokens) + 1 >= context:
            raise InputError(
                f"a prompt of {len(tokens) + 1} tokens leaves no room in the context of {context}: "
                "shorten it, or drop its beginning with --truncate-left"
            )
        return [self.tokenizer.eot, *tokens]

    def score(self, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], batch: int = 8) -> Iterator[Score]:
        """Scores each pair, in order: (end-of-text and the prompt's tokens, the completion's tokens).

        batch: pairs scored together by each copy of the model. InputError if a pair is longer than the context.
        """
        for prompt, completion in pairs:
            if len(prompt) + len(completion) > self.config.context:
                raise InputError(
                    f"a prompt of {len(prompt)} tokens with a completion of {len(completion)} is longer than the "
                    f"context of {self.config.context}: shorten one"
                )
        batch *= self.copies
        for start in range(0, len(pairs), batch):
            part = pairs[start : start + batch]
            longest = max(len(prompt) + len(completion) for prompt, completion in part)
            tokens = np.full((batch, -(-longest // CHUNK) * CHUNK), self.tokenizer.eot, np.int32)
            for row, (prompt, completion) in enumerate(part):
                tokens[row, : len(prompt) + len(completion)] = [*prompt, *completion]
            with jax.set_mesh(self.mesh):
                logps = np.asarray(self.logps(self.weights, tokens))
            for row, (prompt, completion) in enumerate(part):
                total = float(logps[row, len(prompt) : len(prompt) + len(completion)].sum(dtype=np.float64))
                yield Score(len(completion), total / max(len(completion), 1), total)

    def bytes_per_sample(self, params: SamplingParams) -> int:
        """Bytes of one sample's keys and values, over all devices."""
        return cache_bytes(self.config, slots_for(self.config, params))
