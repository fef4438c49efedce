"""The host's side of sampling: which sample each row draws next, until all are drawn."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np

from codex_jax.decoding.rows import Fresh, State
from codex_jax.decoding.settings import Request

BUCKET = 64  # tokens: prompts are padded to multiples of it
GROUPS = 8  # prompts at a time: as a prompt's last samples end, its other rows wait
STEPS = 64  # at most until the host looks again
REFILL = 32  # it is called when a row of so many is done: steps are long where rows are many


class Programs(Protocol):
    """The compiled functions of the device; each takes the state's memory over."""

    def place(self, state: State, group: int, tokens: Sequence[int]) -> State:
        """With a group's prompt, less its last token."""
        ...

    def refill(self, state: State, fresh: Fresh) -> State:
        """With samples begun."""
        ...

    def advance(self, state: State, steps: int, until: int) -> State:
        """Some tokens on."""
        ...


class Finished(NamedTuple):
    """A sample as it was drawn: int32 and float32 [tokens]."""

    request: int
    number: int
    tokens: np.ndarray
    logps: np.ndarray
    sampling_logps: np.ndarray


class Layout(NamedTuple):
    """G prompts side by side, with R rows each."""

    groups: int
    rows: int


def layout(requests: Sequence[Request], batch: int) -> Layout:
    """For at most `batch` rows: no more rows a prompt than samples, and several prompts where there are."""
    most = max(len(request.numbers) for request in requests)
    rows = min(most, max(1, batch // min(len(requests), GROUPS)))
    return Layout(min(len(requests), batch // rows), rows)


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
    programs: Programs, state: State, requests: Sequence[Request], limits: Sequence[int], shape: Layout
) -> Iterator[Finished]:
    """All samples of all requests, as they finish. limits: how many tokens each request's samples may have."""
    groups = [Group() for _ in range(shape.groups)]
    queue = deque(range(len(requests)))
    batch = shape.groups * shape.rows
    while True:
        for place, group in enumerate(groups):
            while queue and not group.waiting and not group.drawing:
                group.request = queue.popleft()
                group.waiting.extend(requests[group.request].numbers)
                if group.waiting:
                    state = programs.place(state, place, requests[group.request].tokens)
        fresh = _fill(groups, requests, limits, shape)
        if fresh.rows.any():
            state = programs.refill(state, fresh)
        busy = sum(len(group.drawing) for group in groups)
        if not busy:
            return
        more = bool(queue) or any(group.waiting for group in groups)
        wanted = max(1, batch // REFILL) if more else busy
        state = programs.advance(state, STEPS, batch - busy + min(wanted, busy))
        yield from _harvest(state, groups)


def _fill(groups: Sequence[Group], requests: Sequence[Request], limits: Sequence[int], shape: Layout) -> Fresh:
    begun = {}
    for place, group in enumerate(groups):
        for row in range(place * shape.rows, (place + 1) * shape.rows):
            if group.waiting and row not in group.drawing:
                group.drawing[row] = group.waiting.popleft()
                begun[row] = requests[group.request], group.drawing[row], limits[group.request]
    return fresh_rows(shape.groups * shape.rows, begun)


def fresh_rows(batch: int, begun: dict[int, tuple[Request, int, int]]) -> Fresh:
    """begun: row: (request, number of the sample, how many tokens it may have)."""
    unsigned, signed = (np.zeros((2, batch), dtype) for dtype in (np.uint32, np.int32))
    fresh = Fresh(np.zeros(batch, bool), *unsigned, *signed)
    for row, (request, number, limit) in begun.items():
        fresh.rows[row] = True
        fresh.task[row], fresh.number[row] = request.task, number
        fresh.token[row], fresh.limit[row] = request.tokens[-1], limit
    return fresh


def drawn_by(state: State, row: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A row's tokens, log probabilities and sampling log probabilities so far: copies, as the next step reuses them."""
    length = np.asarray(state.suffix.length)[row]
    tokens, logps, sampling_logps = (
        np.asarray(x)[row, :length].copy() for x in (state.rows.tokens, state.rows.logps, state.rows.sampling_logps)
    )
    return tokens, logps, sampling_logps


def _harvest(state: State, groups: Sequence[Group]) -> Iterator[Finished]:
    done = np.asarray(state.rows.done)
    for group in groups:
        for row in [row for row in group.drawing if done[row]]:
            yield Finished(group.request, group.drawing.pop(row), *drawn_by(state, row))
