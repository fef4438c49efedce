"""Samples for a server, with few shapes, so that few programs are compiled.

A program is compiled for a ProgramKey, a number of prompts and of samples, slots for a prompt and for new tokens, and a
number of stop-string states. Prompts and samples are rounded up to powers of two, slots to PROMPT_SLOTS or NEW_SLOTS
times a power of two. The samples do not depend on the rounding.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence

from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import Completion, complete
from codex_jax.sampling.params import SampleRequest, SamplingParams
from codex_jax.sampling.programs import slots_for
from codex_jax.sampling.rows import BUCKET, Layout
from codex_jax.sampling.scheduler import layout
from codex_jax.sampling.session import Session

PROMPT_SLOTS = 256  # fewest slots for a prompt
NEW_SLOTS = 64  # fewest slots for new tokens


def generate(
    engine: Engine,
    requests: Sequence[SampleRequest],
    params: SamplingParams,
    seed: int,
    batch: int,
    stream: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[str | Completion]:
    """Draws up to `batch` samples at a time on each copy of the model. stream, cancelled: see complete."""
    context = engine.config.context
    longest = max(len(request.tokens) for request in requests) - 1
    prompt_slots = round_up(longest, PROMPT_SLOTS, -(-(context - 1) // BUCKET) * BUCKET)
    new_tokens = round_up(params.max_new_tokens, NEW_SLOTS, context)
    new_slots = slots_for(engine.config, dataclasses.replace(params, max_new_tokens=new_tokens))
    session = Session(engine, params, seed, shape_for(requests, batch, engine.copies), prompt_slots, new_slots)
    return complete(session, requests, stream, cancelled)


def shape_for(requests: Sequence[SampleRequest], batch: int, copies: int) -> Layout:
    """The scheduler's layout after rounding up the numbers of prompts and of samples per prompt."""
    prompts = round_up(len(requests), 1, batch * copies)
    samples = round_up(max(len(request.numbers) for request in requests), 1, batch * copies)
    return layout([SampleRequest((), 0, range(samples))] * prompts, batch, copies)


def round_up(number: int, least: int, most: int) -> int:
    """`least`, doubled until it is at least `number`, but not more than `most`."""
    size = least
    while size < number:
        size *= 2
    return min(size, most)


def warm_up(engine: Engine, batch: int) -> None:
    """Compiles the programs of the shortest request with the API's defaults."""
    params = SamplingParams(temperature=1.0, top_p=1.0, max_new_tokens=16)
    for _ in generate(engine, [SampleRequest([engine.tokenizer.eot], 0, [0])], params, 0, batch):
        pass
