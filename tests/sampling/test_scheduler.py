from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.sampling.params import SampleRequest
from codex_jax.sampling.scheduler import buckets, layout, schedule


class Counting:
    """Programs without a model: a sample of task t and number n has 1 + (7 t + 3 n) % 11 tokens, each its task."""

    def __init__(self, shape):
        self.shape = shape
        self.prompts = [None] * shape.groups
        self.steps = self.busy = self.placed = 0

    def state(self):
        batch = self.shape.groups * self.shape.rows
        rows = SimpleNamespace(
            done=np.ones(batch, bool),
            left=np.zeros(batch, int),
            tokens=np.zeros((batch, 16), np.int32),
            logps=np.zeros((batch, 16), np.float32),
            sampling_logps=np.zeros((batch, 16), np.float32),
        )
        return SimpleNamespace(rows=rows, suffix=SimpleNamespace(length=np.zeros(batch, np.int32)))

    def place(self, state, prompts):
        for group, tokens in prompts.items():
            rows = slice(group * self.shape.rows, (group + 1) * self.shape.rows)
            assert state.rows.done[rows].all()
            self.prompts[group] = tokens
        self.placed += len(prompts)
        return state

    def done(self, state):
        return state.rows.done

    def drawn(self, state):
        rows = state.rows
        return state.suffix.length, rows.tokens.copy(), rows.logps.copy(), rows.sampling_logps.copy()

    def refill(self, state, fresh):
        for row in np.flatnonzero(fresh.rows):
            assert state.rows.done[row]
            task = int(fresh.task[row])
            assert self.prompts[row // self.shape.rows] == [0, task]
            assert fresh.token[row] == task
            assert fresh.limit[row] == 16
            state.rows.left[row] = 1 + (7 * task + 3 * int(fresh.number[row])) % 11
            state.rows.done[row], state.rows.tokens[row], state.suffix.length[row] = False, task, 0
        return state

    def advance(self, state, steps, until):
        assert 0 < until <= len(state.rows.done)
        while steps and state.rows.done.sum() < until:
            live = ~state.rows.done
            state.suffix.length += live
            state.rows.left -= live
            state.rows.done |= state.rows.left <= 0
            steps, self.steps, self.busy = steps - 1, self.steps + 1, self.busy + live.sum()
        return state


@given(
    st.lists(st.sets(st.integers(0, 40), max_size=12), min_size=1, max_size=12).filter(any),
    st.integers(1, 40),
    st.integers(1, 4),
)
def test_every_sample_is_drawn_once_by_a_row_of_its_prompt(numbers, batch, copies):
    requests = [SampleRequest([0, task], task, sorted(some)) for task, some in enumerate(numbers)]
    shape = layout(requests, batch, copies)
    assert shape.groups * shape.rows <= batch * copies
    assert shape.groups % copies == 0
    programs = Counting(shape)
    made = list(schedule(programs, programs.state(), requests, [16] * len(requests), shape))
    wanted = [(task, number) for task, some in enumerate(numbers) for number in sorted(some)]
    assert sorted((one.request, one.number) for one in made) == wanted
    for one in made:
        assert one.drawn.tokens.tolist() == [one.request] * (1 + (7 * one.request + 3 * one.number) % 11)


def test_the_batch_stays_full():
    requests = [SampleRequest([0, task], task, range(100)) for task in range(40)]
    shape = layout(requests, 96)
    programs = Counting(shape)
    made = list(schedule(programs, programs.state(), requests, [16] * 40, shape))
    assert len(made) == 4_000
    assert programs.busy / programs.steps > 0.85 * shape.groups * shape.rows
    assert programs.placed < 2 * 40


def test_at_most_two_buckets_with_the_least_padding():
    assert buckets([0]) == [64]
    assert buckets([1, 64]) == [64]
    assert buckets([10] * 9 + [65, 300]) == [64, 320]
    assert buckets([10, 200, 250, 260]) == [64, 320]


@pytest.mark.parametrize(
    ("prompts", "n", "batch", "copies", "wanted"),
    [
        (1, 100, 100, 1, (1, 100)),
        (164, 100, 100, 1, (8, 12)),
        (164, 1, 100, 1, (100, 1)),
        (3, 200, 100, 1, (3, 33)),
        (5, 9, 1, 1, (1, 1)),
        (1, 100, 100, 8, (8, 13)),
        (1, 3, 100, 8, (8, 1)),
        (164, 200, 100, 8, (64, 12)),
        (164, 1, 100, 8, (168, 1)),
    ],
)
def test_layouts(prompts, n, batch, copies, wanted):
    assert layout([SampleRequest([0], 0, range(n))] * prompts, batch, copies) == wanted
