"""A model ready to sample: many samples of many prompts in batches that stay full, or one as it grows."""

import dataclasses
import zlib
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import jax
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.decoding import rows
from codex_jax.decoding.scheduler import Finished, Layout, buckets, drawn_by, fresh_rows, layout, schedule
from codex_jax.decoding.settings import Draw, Request, Sample
from codex_jax.decoding.stop import cut
from codex_jax.errors import InputError
from codex_jax.model.cache import SLOTS, bytes_of
from codex_jax.model.decode import unstack

EVERY = 4  # tokens between two pieces of a streamed sample


def task_key(name: str) -> int:
    """A Request's task, by name: a problem's samples do not depend on the others in its file."""
    return zlib.crc32(name.encode())


class Sampler:
    """Parameters, tokenizer and compiled functions."""

    def __init__(self, config: ModelConfig, params: Any, tokenizer: Any, how: Draw) -> None:
        """params: the model's tree; tokenizer: of the run; how: checked here."""
        how.check()
        self.config, self.tokenizer, self.how = dataclasses.replace(config, remat="none"), tokenizer, how
        self.weights = jax.jit(unstack)(params)
        self._pieces = [tokenizer.token_bytes(n) for n in range(tokenizer.vocab_size)]
        self.ends = rows.make_ends(how, self._pieces, tokenizer.eot)
        self.place = jax.jit(partial(rows.place, self.config, tokenizer.eot), donate_argnums=1)
        self.refill = jax.jit(rows.refill, donate_argnums=0)
        self.advance = jax.jit(partial(rows.advance, self.config, how), donate_argnums=2)

    def encode(self, prompt: str, truncate_left: bool = False) -> list[int]:
        """The prompt's tokens behind an end-of-text; InputError where no room is left in the context.

        truncate_left: a longer prompt loses its beginning, until max_new_tokens have room, or half the context.
        """
        tokens = self.tokenizer.encode(prompt)
        if truncate_left:
            room = max(self.config.context - self.how.max_new_tokens, self.config.context // 2, 2) - 1
            tokens = tokens[-room:]
        if len(tokens) + 1 >= self.config.context:
            raise InputError(
                f"a prompt of {len(tokens) + 1} tokens leaves no room in the context of {self.config.context}: "
                "shorten it, or have --truncate-left drop its beginning"
            )
        return [self.tokenizer.eot, *tokens]

    def complete(self, prompts: Sequence[str], n: int, seed: int = 0, batch: int = 100) -> list[list[Sample]]:
        """n samples of each prompt."""
        requests = [Request(self.encode(prompt), task_key(prompt), range(n)) for prompt in prompts]
        made: list[dict[int, Sample]] = [{} for _ in prompts]
        for request, number, sample in self.sample(requests, seed, batch):
            made[request][number] = sample
        return [[one[number] for number in range(n)] for one in made]

    def sample(self, requests: Sequence[Request], seed: int, batch: int) -> Iterator[tuple[int, int, Sample]]:
        """(index of the request, number, sample) as they finish, with at most `batch` of them drawn at a time."""
        wanted = [n for n, request in enumerate(requests) if len(request.numbers)]
        if not wanted:
            return
        sizes = buckets([len(requests[n].tokens) - 1 for n in wanted])
        for smaller, size in zip([-1, *sizes], sizes, strict=False):
            those = [n for n in wanted if smaller < len(requests[n].tokens) - 1 <= size]
            part = [requests[n] for n in those]
            shape = layout(part, batch)
            state = rows.empty_state(self.config, *shape, size, self.slots)
            programs = Bound(self, seed, size)
            for finished in schedule(programs, state, part, [self._limit(one) for one in part], shape):
                yield those[finished.request], finished.number, self._read(finished)

    def stream(self, request: Request, seed: int) -> Iterator[str | Sample]:
        """The text of a request's first sample in pieces as it grows, then the Sample."""
        (size,), shape = buckets([len(request.tokens) - 1]), Layout(1, 1)
        programs = Bound(self, seed, size)
        state = programs.place(rows.empty_state(self.config, *shape, size, self.slots), 0, request.tokens)
        state = programs.refill(state, fresh_rows(1, {0: (request, request.numbers[0], self._limit(request))}))
        shown, hold = "", max((len(stop) for stop in self.how.stops), default=0)
        while True:
            state = programs.advance(state, EVERY, 1)
            over = bool(state.rows.done[0])
            sample = self._read(Finished(0, request.numbers[0], *drawn_by(state, 0)))
            # What may yet become a stop string, or the rest of a character, is held back.
            text = sample.completion if over else sample.completion[: -hold or None].rstrip("\ufffd")
            yield text[len(shown) :]
            shown = text
            if over:
                yield sample
                return

    @property
    def slots(self) -> int:
        """How many tokens a row has room for."""
        return min(self.how.max_new_tokens, self.config.context - 1)

    def bytes_a_sample(self) -> int:
        """Of its own keys and values."""
        return bytes_of(self.config, -(-self.slots // SLOTS) * SLOTS)

    def _limit(self, request: Request) -> int:
        return min(self.slots, self.config.context - len(request.tokens))

    def _read(self, drawn: Finished) -> Sample:
        ids = drawn.tokens.tolist()
        ended = bool(ids) and ids[-1] == self.tokenizer.eot
        text_ids = ids[:-1] if ended else ids
        data = b"".join(self._pieces[token] for token in text_ids)
        ends = np.cumsum([0, *(len(self._pieces[token]) for token in ids)])
        # A stop string that is completed within the first min_new_tokens does not count.
        text, stopped = cut(data, self.how.stops, int(ends[min(self.how.min_new_tokens, len(text_ids))]))
        # Counted are the tokens that begin before the cut, and the end-of-text that ended the sample.
        kept = int((ends[:-1] < len(text)).sum()) if stopped else len(ids)
        kept = max(kept, min(1, len(ids)))
        sums = [float(logps[:kept].sum(dtype=np.float64)) for logps in (drawn.logps, drawn.sampling_logps)]
        means = [total / max(kept, 1) for total in sums]
        finish = "stop" if stopped else "eot" if ended else "length"
        return Sample(text.decode("utf-8", "replace"), kept, means[0], sums[0], means[1], sums[1], finish)


class Bound:
    """The compiled functions with what they are always given."""

    def __init__(self, sampler: Sampler, seed: int, places: int) -> None:
        """places: of a prompt, less its last token."""
        self._sampler, self._places, self._key = sampler, places, jax.random.key(seed)

    def place(self, state: rows.State, group: int, tokens: Sequence[int]) -> rows.State:
        """See scheduler.Programs."""
        padded = np.full((1, self._places), self._sampler.tokenizer.eot, np.int32)
        padded[0, : len(tokens) - 1] = tokens[:-1]
        return self._sampler.place(self._sampler.weights, state, group, padded, len(tokens) - 1)

    def refill(self, state: rows.State, fresh: rows.Fresh) -> rows.State:
        """See scheduler.Programs."""
        return self._sampler.refill(state, self._key, fresh)

    def advance(self, state: rows.State, steps: int, until: int) -> rows.State:
        """See scheduler.Programs."""
        sampler = self._sampler
        return sampler.advance(sampler.ends, sampler.weights, state, steps, until)
