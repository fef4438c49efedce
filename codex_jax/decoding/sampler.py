"""Many samples of one prompt: a jitted prefill, then a jitted loop in which all samples share the prompt's cache."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.decoding.nucleus import draw
from codex_jax.decoding.stop import cut, token_automaton
from codex_jax.errors import InputError
from codex_jax.model.cache import Prefix, Suffix, empty_suffix
from codex_jax.model.gpt import GPT, segments_and_positions

Array = jax.Array
BUCKET = 64  # prompts are padded to multiples of it, so that few lengths are compiled


class Progress(NamedTuple):
    """The loop's state. tokens, logps: [B, S]; stop_state, done, lengths: [B]; logits: [B, V]; step: []."""

    step: Array
    suffix: Suffix
    logits: Array
    tokens: Array
    logps: Array
    stop_state: Array
    done: Array
    lengths: Array


@dataclass(frozen=True)
class Sample:
    """One completion. tokens counts those that the log probabilities (nats, temperature 1) are taken over."""

    completion: str
    tokens: int
    mean_logp: float
    sum_logp: float
    finish: str  # "stop", "eot" or "length"


@dataclass(frozen=True)
class Draw:
    """How tokens are drawn and where they end."""

    temperature: float = 0.8
    top_p: float = 0.95
    max_new_tokens: int = 300
    stops: tuple[str, ...] = ()

    def check(self) -> None:
        """InputError for values that cannot be sampled with."""
        if self.temperature < 0:
            raise InputError(f"--temperature must be 0 (greedy) or above, not {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"--top-p must be above 0 and at most 1, not {self.top_p}")
        if self.max_new_tokens < 1:
            raise InputError(f"--max-new-tokens must be at least 1, not {self.max_new_tokens}")
        if "" in self.stops:
            raise InputError("a stop string is empty: leave it out")


class Sampler:
    """A model ready to sample: parameters, tokenizer and compiled functions."""

    def __init__(self, config: ModelConfig, params: Any, tokenizer: Any, how: Draw) -> None:
        """params: the model's tree; tokenizer: of the run; how: checked here."""
        how.check()
        # Unrolled layers would each copy their part of the cache.
        config = dataclasses.replace(config, unroll=1)
        self.config, self.params, self.tokenizer, self.how = config, params, tokenizer, how
        pieces = [tokenizer.token_bytes(n) for n in range(tokenizer.vocab_size)]
        table, self._matched = token_automaton(how.stops, pieces)
        self._table = jnp.asarray(table)
        self._lengths = np.array([len(piece) for piece in pieces])
        self._prefill = jax.jit(partial(_prefill, GPT(config), tokenizer.eot))
        self._advance = jax.jit(partial(_advance, GPT(config), tokenizer.eot, self._matched), donate_argnums=1)

    def encode(self, prompt: str) -> list[int]:
        """The prompt's tokens behind an end-of-text; InputError where no room is left in the context."""
        tokens = [self.tokenizer.eot, *self.tokenizer.encode(prompt)]
        if len(tokens) >= self.config.context:
            raise InputError(
                f"a prompt of {len(tokens)} tokens leaves no room in the context of {self.config.context}: shorten it"
            )
        return tokens

    def sample(self, prompt: str, keys: Array, batch: int) -> Iterator[Sample]:
        """One completion a key ([n] of jax.random.key's); `batch` at a time."""
        for prefix, part, progress, count in self._batches(prompt, keys, batch):
            yield from self._finished(self._run(prefix, part, progress, self._room(prompt)), count)

    def stream(self, prompt: str, key: Array, every: int = 4) -> Iterator[str | Sample]:
        """The text of one completion in pieces as it grows, then the Sample."""
        shown, hold = "", max((len(stop) for stop in self.how.stops), default=0)
        room = self._room(prompt)
        for prefix, part, progress, _ in self._batches(prompt, key[None], 1):
            for limit in range(every, room + every, every):
                progress = self._run(prefix, part, progress, min(limit, room))
                (sample,) = self._finished(progress, 1)
                over = bool(progress.done[0]) or int(progress.step) >= room
                # What may yet become a stop string, or the rest of a character, is held back.
                text = sample.completion if over else sample.completion[: -hold or None].rstrip("\ufffd")
                yield text[len(shown) :]
                shown = text
                if over:
                    yield sample
                    return

    def _room(self, prompt: str) -> int:
        return min(self.how.max_new_tokens, self.config.context - len(self.encode(prompt)))

    def _batches(self, prompt: str, keys: Array, batch: int) -> Iterator[tuple[Prefix, Array, Progress, int]]:
        tokens = self.encode(prompt)
        padded = min(-(-len(tokens) // BUCKET) * BUCKET, self.config.context)
        row = np.full((1, padded), self.tokenizer.eot, np.int32)
        row[0, : len(tokens)] = tokens
        prefix, logits = self._prefill(self.params, jnp.asarray(row), len(tokens))
        slots = self.how.max_new_tokens
        for start in range(0, len(keys), batch):
            part = keys[start : start + batch]
            count = len(part)
            if count < batch:  # the last rows are drawn again and dropped, so that one shape is compiled
                part = jnp.concatenate([part, jnp.repeat(part[-1:], batch - count)])
            yield (
                prefix,
                part,
                Progress(
                    step=jnp.zeros((), jnp.int32),
                    suffix=empty_suffix(self.config, batch, slots),
                    logits=jnp.repeat(logits[None], batch, axis=0),
                    tokens=jnp.full((batch, slots), self.tokenizer.eot, jnp.int32),
                    logps=jnp.zeros((batch, slots)),
                    stop_state=jnp.zeros(batch, jnp.int32),
                    done=jnp.zeros(batch, bool),
                    lengths=jnp.zeros(batch, jnp.int32),
                ),
                count,
            )

    def _run(self, prefix: Prefix, keys_B: Array, progress: Progress, limit: int) -> Progress:
        how = self.how
        return self._advance(self.params, progress, prefix, keys_B, self._table, limit, how.temperature, how.top_p)

    def _finished(self, progress: Progress, count: int) -> Iterator[Sample]:
        tokens, logps, lengths = (np.asarray(x) for x in (progress.tokens, progress.logps, progress.lengths))
        for row in range(count):
            ids = tokens[row, : lengths[row]].tolist()
            ended = bool(ids) and ids[-1] == self.tokenizer.eot
            text, stopped = cut(self.tokenizer.decode(ids[:-1] if ended else ids), self.how.stops)
            # Counted are the tokens that begin before the cut, and the end-of-text that ended the sample.
            begins = np.cumsum([0, *self._lengths[ids[:-1]]]) if ids else np.zeros(0, int)
            kept = int((begins < len(text.encode())).sum()) if stopped else len(ids)
            kept = max(kept, min(1, len(ids)))
            total = float(logps[row, :kept].sum(dtype=np.float64))
            finish = "stop" if stopped else "eot" if ended else "length"
            yield Sample(text, kept, total / max(kept, 1), total, finish)


def _prefill(model: GPT, eot: int, params: Any, tokens_1P: Array, length: Array) -> tuple[Prefix, Array]:
    segments, positions = segments_and_positions(tokens_1P, eot)
    applied: Any = model.apply({"params": params}, tokens_1P, segments, positions)
    logits, (keys, values) = applied
    return Prefix(keys[:, 0], values[:, 0], jnp.asarray(length, jnp.int32)), logits[0, length - 1]


def _advance(
    model: GPT,
    eot: int,
    matched: int,
    params: Any,
    state: Progress,
    prefix: Prefix,
    keys_B: Array,
    table: Array,
    limit: Array,
    temperature: Array,
    top_p: Array,
) -> Progress:
    vocab_size = table.shape[1]  # the padding of the vocabulary is never drawn

    def body(state: Progress) -> Progress:
        step = state.step
        logits = state.logits[:, :vocab_size]
        keys = jax.vmap(lambda key: jax.random.fold_in(key, step))(keys_B)
        token = jnp.where(state.done, eot, draw(keys, logits, temperature, top_p))
        logp = jnp.take_along_axis(jax.nn.log_softmax(logits), token[:, None], axis=1)[:, 0]
        stop_state = jnp.where(state.done, state.stop_state, table[state.stop_state, token])
        decoded: Any = model.apply({"params": params}, token, prefix, state.suffix, method=GPT.decode)
        next_logits, suffix = decoded
        return Progress(
            step=step + 1,
            suffix=suffix,
            logits=next_logits,
            tokens=state.tokens.at[:, step].set(token),
            logps=state.logps.at[:, step].set(jnp.where(state.done, 0.0, logp)),
            stop_state=stop_state,
            done=state.done | (token == eot) | (stop_state == matched),
            lengths=state.lengths + ~state.done,
        )

    return jax.lax.while_loop(lambda s: (s.step < limit) & ~s.done.all(), body, state)


def sample_keys(seed: int, task: int, samples: Sequence[int] | range) -> Array:
    """A key for each (seed, task, sample), whatever batch the sample is drawn in."""
    base = jax.random.fold_in(jax.random.key(seed), task)
    return jax.vmap(lambda n: jax.random.fold_in(base, n))(jnp.asarray(samples, jnp.uint32))
