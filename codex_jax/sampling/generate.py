"""Draws samples from an engine, in full batches or streamed."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from codex_jax.sampling.completion import settled_text, to_sample
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import Sample, SampleRequest, SamplingParams
from codex_jax.sampling.rows import Layout
from codex_jax.sampling.scheduler import buckets, layout, schedule
from codex_jax.sampling.session import RawSample, Session


class Completion(NamedTuple):
    """A finished sample: the index of its request, its number, and all tokens that the device drew."""

    request: int
    number: int
    sample: Sample
    raw: RawSample


def complete(
    session: Session,
    requests: Sequence[SampleRequest],
    stream: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[str | Completion]:
    """Yields each Completion when done; with stream, pieces of its text before it. stream, cancelled: see schedule."""
    engine, params = session.engine, session.params
    emitted = 0  # characters
    for request, number, raw, done in schedule(session, requests, stream, cancelled):
        sample = to_sample(raw, engine.token_bytes, engine.tokenizer.eot, params)
        if stream:
            text = sample.completion if done else settled_text(sample.completion, params)
            if len(text) > emitted:
                yield text[emitted:]
            emitted = 0 if done else max(emitted, len(text))
        if done:
            yield Completion(request, number, sample, raw)


def sample_all(
    engine: Engine, requests: Sequence[SampleRequest], params: SamplingParams, seed: int, batch: int
) -> Iterator[Completion]:
    """Yields each Completion when it is done. Each copy of the model draws at most `batch` samples at a time."""
    lengths = {n: len(request.tokens) - 1 for n, request in enumerate(requests) if len(request.numbers)}
    sizes = buckets(list(lengths.values())) if lengths else []
    for smaller, size in zip([-1, *sizes], sizes, strict=False):
        indices = [n for n, length in lengths.items() if smaller < length <= size]
        part = [requests[n] for n in indices]
        shape = layout(part, batch, engine.copies)
        # No variable holds the session, so that its memory is free when the next one begins.
        for completion in complete(Session(engine, params, seed, shape, size), part):
            assert isinstance(completion, Completion)
            yield completion._replace(request=indices[completion.request])


def stream_samples(
    engine: Engine, request: SampleRequest, params: SamplingParams, seed: int
) -> Iterator[str | Completion]:
    """Draws a request's samples one after the other: the text of each in pieces, then its Completion."""
    (size,) = buckets([len(request.tokens) - 1])
    return complete(Session(engine, params, seed, Layout(engine.copies, 1), size), [request], stream=True)
