"""The host's side of sampling: which sample each row draws next, until all are drawn."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from codex_jax.sampling.params import SampleRequest
from codex_jax.sampling.rows import NewRows, State

BUCKET = 64  # tokens: prompts are padded to multiples of it
GROUPS = 8  # prompts at a time: as a prompt's last samples end, its other rows wait
STEPS = 64  # at most until the host looks again
REFILL = 32  # it is called when a row of so many is done: steps are long where rows are many


class Programs(Protocol):
    """The compiled functions of the device; each takes the state's memory over."""

    def place(self, state: State, prompts: Mapping[int, Sequence[int]]) -> State:
        """With prompts by group, less their last tokens."""
        ...

    def refill(self, state: State, fresh: NewRows) -> State:
        """With samples begun."""
        ...

    def advance(self, state: State, steps: int, until: int) -> State:
        """Some tokens on."""
        ...

    def done(self, state: State) -> np.ndarray:
        """bool [B]."""
        ...

    def drawn(self, state: State) -> tuple[np.ndarray, ...]:
        """(how many tokens [B]; they [B, S], their log probabilities, those of the sampling distribution)."""
        ...


class RawSample(NamedTuple):
    """A sample's tokens, int32 [T], and their log probabilities, float32 [T]."""

    tokens: np.ndarray
    logps: np.ndarray
    sampling_logps: np.ndarray


class Finished(NamedTuple):
    """Which sample of which request has ended, and what it is."""

    request: int
    number: int
    drawn: RawSample


class Layout(NamedTuple):
    """G prompts side by side, with R rows each."""

    groups: int
    rows: int


def layout(requests: Sequence[SampleRequest], batch: int, copies: int = 1) -> Layout:
    """For at most `batch` rows on each of so many copies of the model, which have as many groups each.

    No more rows a prompt than samples, and several prompts where there are. One prompt takes a group of every copy.
    """
    samples = [len(request.numbers) for request in requests]
    prompts = min(-(-min(len(requests), GROUPS * copies) // copies), batch)
    rows = min(max(samples), batch // prompts, -(-sum(samples) // copies))
    wanted = -(-sum(-(-number // rows) for number in samples) // copies)
    return Layout(min(wanted, batch // rows) * copies, rows)


def buckets(lengths: Sequence[int]) -> list[int]:
    """At most two multiples of BUCKET, the larger last, that hold these lengths with the least padding in all."""
    padded = [max(-(-length // BUCKET), 1) * BUCKET for length in lengths]
    top = max(padded)

    def total(low: int) -> int:
        return sum(low if size <= low else top for size in padded)

    return sorted({min(sorted(set(padded)), key=total), top})


@dataclass
class Group:
    """A prompt in its place: what is still to be begun of it, and which of its samples each row draws."""

    request: int = -1
    waiting: deque[int] = field(default_factory=deque)
    drawing: dict[int, int] = field(default_factory=dict)  # row of the batch: number of the sample


def schedule(
    programs: Programs, state: State, requests: Sequence[SampleRequest], limits: Sequence[int], shape: Layout
) -> Iterator[Finished]:
    """All samples of all requests, as they finish. limits: how many tokens each request's samples may have."""
    groups = [Group() for _ in range(shape.groups)]
    queue = deque(n for n, request in enumerate(requests) if len(request.numbers))
    batch = shape.groups * shape.rows
    while True:
        prompts = {}
        for place, group in enumerate(groups):
            if not group.waiting and not group.drawing and _take(group, groups, queue, requests):
                prompts[place] = requests[group.request].tokens
        if prompts:
            state = programs.place(state, prompts)
        fresh = _fill(groups, requests, limits, shape)
        if fresh.rows.any():
            state = programs.refill(state, fresh)
        busy = sum(len(group.drawing) for group in groups)
        if not busy:
            return
        more = bool(queue) or any(group.waiting for group in groups)
        wanted = max(1, batch // REFILL) if more else busy
        state = programs.advance(state, STEPS, batch - busy + min(wanted, busy))
        yield from _harvest(programs, state, groups)


def _take(group: Group, groups: Sequence[Group], queue: deque[int], requests: Sequence[SampleRequest]) -> bool:
    # The next request; where there is none, half of what waits for the rows of another group.
    if queue:
        group.request = queue.popleft()
        group.waiting.extend(requests[group.request].numbers)
        return True
    busiest = max(groups, key=lambda other: len(other.waiting))
    group.request = busiest.request
    group.waiting.extend(busiest.waiting.pop() for _ in range((len(busiest.waiting) + 1) // 2))
    return bool(group.waiting)


def _fill(groups: Sequence[Group], requests: Sequence[SampleRequest], limits: Sequence[int], shape: Layout) -> NewRows:
    begun = {}
    for place, group in enumerate(groups):
        for row in range(place * shape.rows, (place + 1) * shape.rows):
            if group.waiting and row not in group.drawing:
                group.drawing[row] = group.waiting.popleft()
                begun[row] = requests[group.request], group.drawing[row], limits[group.request]
    return new_rows(shape.groups * shape.rows, begun)


def new_rows(batch: int, begun: dict[int, tuple[SampleRequest, int, int]]) -> NewRows:
    """begun: row: (request, number of the sample, how many tokens it may have)."""
    unsigned, signed = (np.zeros((2, batch), dtype) for dtype in (np.uint32, np.int32))
    fresh = NewRows(np.zeros(batch, bool), *unsigned, *signed)
    for row, (request, number, limit) in begun.items():
        fresh.rows[row] = True
        fresh.task[row], fresh.number[row] = request.task, number
        fresh.token[row], fresh.limit[row] = request.tokens[-1], limit
    return fresh


def _harvest(programs: Programs, state: State, groups: Sequence[Group]) -> Iterator[Finished]:
    done = programs.done(state)
    if not any(done[row] for group in groups for row in group.drawing):
        return
    counts, *columns = programs.drawn(state)
    for group in groups:
        for row in [row for row in group.drawing if done[row]]:
            yield Finished(group.request, group.drawing.pop(row), drawn_by(row, counts, *columns))


def drawn_by(row: int, counts: np.ndarray, *columns: np.ndarray) -> RawSample:
    """A row's part of Programs.drawn."""
    return RawSample(*(column[row, : counts[row]] for column in columns))
