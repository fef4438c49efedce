"""Decides on the host which sample each row draws next, until all samples are drawn."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from codex_jax.sampling.params import SampleRequest
from codex_jax.sampling.rows import BUCKET, Layout
from codex_jax.sampling.session import RawSample, Session

GROUPS = 8  # prompts drawn together per model copy: few rows are then idle while a prompt's last samples finish
STEPS = 64  # most tokens between two checks for finished rows
REFILL = 32  # rows are refilled when 1/32 of them are done: refilling each at once would often interrupt large batches
STREAM_STEPS = 4  # tokens between two updates of a streamed sample


class GenerationCancelled(Exception):
    """The caller no longer wants the samples."""


class Update(NamedTuple):
    """The tokens so far of a sample of a request."""

    request: int
    number: int
    raw: RawSample
    done: bool


def layout(requests: Sequence[SampleRequest], batch: int, copies: int = 1) -> Layout:
    """The layout for at most `batch` rows on each copy of the model. Every copy has the same number of groups.

    A prompt has at most as many rows as samples. Up to GROUPS prompts per copy are drawn side by side. One prompt
    alone gets a group on every copy.
    """
    samples = [len(request.numbers) for request in requests]
    prompts = min(-(-min(len(requests), GROUPS * copies) // copies), batch)
    rows = min(max(samples), batch // prompts, -(-sum(samples) // copies))
    useful = -(-sum(-(-number // rows) for number in samples) // copies)
    return Layout(min(useful, batch // rows) * copies, rows)


def buckets(lengths: Sequence[int]) -> list[int]:
    """The one or two multiples of BUCKET that pad these lengths the least. Each needs its own compiled program."""
    padded = [max(-(-length // BUCKET), 1) * BUCKET for length in lengths]
    largest = max(padded)

    def total(smaller: int) -> int:
        return sum(smaller if size <= smaller else largest for size in padded)

    return sorted({min(sorted(set(padded)), key=total), largest})


@dataclass
class Group:
    """The prompt that a group of rows draws: the samples not yet begun, and the sample that each row draws."""

    request: int = -1
    waiting: deque[int] = field(default_factory=deque)
    drawing: dict[int, int] = field(default_factory=dict)  # row of the batch: number of the sample


def schedule(
    session: Session,
    requests: Sequence[SampleRequest],
    stream: bool = False,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Update]:
    """Draws all samples of all requests and yields each when it is done.

    stream: draws one sample after the other in the session's first row, and yields it every STREAM_STEPS tokens.
    cancelled: called between steps; if it returns True, GenerationCancelled is raised.
    """
    groups = [Group() for _ in range(1 if stream else session.layout.groups)]
    rows, batch = (1 if stream else session.layout.rows), session.layout.groups * session.layout.rows
    queue = deque(n for n, request in enumerate(requests) if len(request.numbers))
    while True:
        prompts = {}
        for index, group in enumerate(groups):
            if not group.waiting and not group.drawing and _assign(group, groups, queue, requests):
                prompts[index] = requests[group.request].tokens
        if prompts:
            session.place(prompts)
        begun = {}
        for index, group in enumerate(groups):
            for row in range(index * rows, (index + 1) * rows):
                if group.waiting and row not in group.drawing:
                    group.drawing[row] = group.waiting.popleft()
                    begun[row] = requests[group.request], group.drawing[row]
        if begun:
            session.refill(begun)
        busy = sum(len(group.drawing) for group in groups)
        if not busy:
            return
        if cancelled():
            raise GenerationCancelled
        more = bool(queue) or any(group.waiting for group in groups)
        ending = min(max(1, batch // REFILL), busy) if more else busy
        session.advance(STREAM_STEPS if stream else STEPS, batch - busy + ending)
        yield from _collect(session, groups, stream)


def _assign(group: Group, groups: Sequence[Group], queue: deque[int], requests: Sequence[SampleRequest]) -> bool:
    # Gives the group the next request or, if there is none, half of the waiting samples of the busiest group.
    if queue:
        group.request = queue.popleft()
        group.waiting.extend(requests[group.request].numbers)
        return True
    busiest = max(groups, key=lambda other: len(other.waiting))
    group.request = busiest.request
    group.waiting.extend(busiest.waiting.pop() for _ in range((len(busiest.waiting) + 1) // 2))
    return bool(group.waiting)


def _collect(session: Session, groups: Sequence[Group], stream: bool) -> Iterator[Update]:
    done = session.done()
    rows = [(group, row) for group in groups for row in group.drawing if stream or done[row]]
    samples = session.read([row for _, row in rows]) if rows else []
    for (group, row), raw in zip(rows, samples, strict=True):
        number = group.drawing.pop(row) if done[row] else group.drawing[row]
        yield Update(group.request, number, raw, bool(done[row]))
