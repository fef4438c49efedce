"""Samples for a server: few shapes, so that few programs are compiled, and an end where nobody waits for them any more.

A program is compiled the first time that its kind of draw (greedy, whole distribution, nucleus), its numbers of
prompts, samples, places for a prompt, slots for new tokens and states of stop strings occur together. Prompts and
samples are rounded up to powers of two, places and slots to 256 and 64 times one. Which samples are drawn depends on
none of them.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from codex_jax.sampling.completion import shown, to_sample
from codex_jax.sampling.engine import EVERY, Bound, Engine
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams
from codex_jax.sampling.rows import State
from codex_jax.sampling.scheduler import BUCKET, Layout, RawSample, drawn_by, layout, schedule

PLACES = 256  # the least for a prompt
SLOTS = 64  # the least for new tokens


class Completion(NamedTuple):
    """A finished sample of a request, its number, and its tokens, of which sample.tokens are counted."""

    request: int
    number: int
    sample: Sample
    drawn: RawSample


class CancelledError(Exception):
    """Nobody waits for the samples any more."""


class Watched(Bound):
    """Programs that end when they are not wanted, and that may show the first row as it grows."""

    def __init__(self, engine: Engine, how: SamplingParams, seed: int, places: int, wanted: Callable[[], bool]) -> None:
        super().__init__(engine, how, seed, places)
        self._wanted = wanted
        self.show: Callable[[RawSample], None] | None = None

    def advance(self, state: State, steps: int, until: int) -> State:
        """See scheduler.Programs; CancelledError where they are not wanted."""
        if not self._wanted():
            raise CancelledError
        if self.show is None:
            return super().advance(state, steps, until)
        state = super().advance(state, min(steps, EVERY), until)
        self.show(drawn_by(0, *self.drawn(state)))
        return state


def draw(
    engine: Engine,
    requests: Sequence[SampleRequest],
    how: SamplingParams,
    seed: int,
    batch: int,
    wanted: Callable[[], bool] = lambda: True,
    grown: Callable[[str], None] | None = None,
) -> Iterator[Completion]:
    """The samples as they finish, `batch` at a time on each copy of the model. CancelledError when not `wanted`.

    grown: for one sample of one request; called with each new piece of its text, all of which is in no other.
    """
    context = engine.config.context
    places = rounded(max(len(one.tokens) for one in requests) - 1, PLACES, -(-(context - 1) // BUCKET) * BUCKET)
    slots = rounded(how.max_new_tokens, SLOTS, context)
    programs = Watched(engine, dataclasses.replace(how, max_new_tokens=slots), seed, places, wanted)
    text = ""

    def show(drawn: RawSample) -> None:
        nonlocal text
        assert grown is not None
        sample = to_sample(drawn, engine.token_bytes, engine.tokenizer.eot, how)
        over = sample.finish != "length" or len(drawn.tokens) == limits[0]
        new = sample.completion if over else shown(sample.completion, how)
        if len(new) > len(text):
            grown(new[len(text) :])
            text = new

    programs.show = show if grown else None
    limits = [engine.limit(one, how) for one in requests]
    shape = shape_for(requests, batch, engine.copies)
    for done in schedule(programs, programs.empty(shape), requests, limits, shape):
        sample = to_sample(done.drawn, engine.token_bytes, engine.tokenizer.eot, how)
        yield Completion(done.request, done.number, sample, done.drawn)


def shape_for(requests: Sequence[SampleRequest], batch: int, copies: int) -> Layout:
    """The scheduler's for as many prompts, with as many samples each, after both are rounded up."""
    prompts = rounded(len(requests), 1, batch * copies)
    samples = rounded(max(len(one.numbers) for one in requests), 1, batch * copies)
    return layout([SampleRequest((), 0, range(samples))] * prompts, batch, copies)


def rounded(number: int, least: int, most: int) -> int:
    """The smallest of least, 2 least, 4 least, ... that is not below number; at most `most`."""
    size = least
    while size < number:
        size *= 2
    return min(size, most)


def warm(engine: Engine, batch: int) -> None:
    """Compiles what the shortest request with the API's defaults needs."""
    how = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=16)
    for _ in draw(engine, [SampleRequest([engine.tokenizer.eot], 0, [0])], how, 0, batch):
        pass
