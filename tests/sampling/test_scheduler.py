import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.sampling import scheduler
from codex_jax.sampling.params import SampleRequest
from codex_jax.sampling.rows import Layout
from codex_jax.sampling.scheduler import GenerationCancelled, buckets, layout, schedule
from codex_jax.sampling.session import RawSample


def length_of(task, number):
    return 1 + (7 * task + 3 * number) % 11


class FakeSession:
    """A session without a model: a sample's tokens are its task, length_of(task, number) times."""

    def __init__(self, layout):
        self.layout = layout
        batch = layout.groups * layout.rows
        self.prompts = [None] * layout.groups
        self.drawing = [None] * batch  # (task, number)
        self.length, self.is_done = np.zeros(batch, int), np.ones(batch, bool)
        self.steps = self.busy = self.placed = 0

    def place(self, prompts):
        for group, tokens in prompts.items():
            assert self.is_done[group * self.layout.rows : (group + 1) * self.layout.rows].all()
            self.prompts[group] = tokens
        self.placed += len(prompts)

    def refill(self, samples):
        for row, (request, number) in samples.items():
            assert self.is_done[row]
            assert self.prompts[row // self.layout.rows] == request.tokens
            self.drawing[row], self.length[row], self.is_done[row] = (request.task, number), 0, False

    def advance(self, steps, until_done):
        assert 0 < until_done <= len(self.is_done)
        assert self.is_done.sum() < until_done
        while steps and self.is_done.sum() < until_done:
            for row in np.flatnonzero(~self.is_done):
                self.length[row] += 1
                self.is_done[row] = self.length[row] == length_of(*self.drawing[row])
                self.busy += 1
            steps, self.steps = steps - 1, self.steps + 1

    def done(self):
        return self.is_done

    def read(self, rows):
        tokens = [np.full(self.length[row], self.drawing[row][0], np.int32) for row in rows]
        return [RawSample(one, one * 0.5, one * 0.25) for one in tokens]


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
    updates = list(schedule(FakeSession(shape), requests))
    expected = [(task, number) for task, some in enumerate(numbers) for number in sorted(some)]
    assert sorted((update.request, update.number) for update in updates) == expected
    for update in updates:
        assert update.done
        assert update.raw.tokens.tolist() == [update.request] * length_of(update.request, update.number)


def test_the_batch_stays_full():
    requests = [SampleRequest([0, task], task, range(100)) for task in range(40)]
    session = FakeSession(layout(requests, 96))
    assert len(list(schedule(session, requests))) == 4_000
    assert session.busy / session.steps > 0.85 * 96
    assert session.placed < 2 * 40


def test_rows_are_refilled_together():
    requests = [SampleRequest([0, 0], 0, range(1000))]
    session, looks = FakeSession(Layout(1, 320)), []
    session.done = lambda: looks.append(session.is_done.sum()) or session.is_done
    list(schedule(session, requests))
    assert all(count >= 10 for count in looks[:50])  # 1/32 of the rows


def test_a_row_is_refilled_while_samples_of_one_prompt_wait():
    # The first request has no waiting samples, the second has 8. The lengths of the first samples are 1, 4, 8 and 11.
    requests = [SampleRequest([0, 0], 0, [0, 1]), SampleRequest([0, 1], 1, range(10))]
    session, looks = FakeSession(Layout(2, 2)), []
    session.done = lambda: looks.append(session.is_done.sum()) or session.is_done
    list(schedule(session, requests))
    assert looks[:2] == [1, 2]  # the first row stays idle: its prompt has no more samples


def test_the_last_samples_are_awaited_together():
    # No samples wait any more, so the host looks only when all rows are done.
    session, looks = FakeSession(Layout(2, 3)), []
    session.done = lambda: looks.append(session.is_done.sum()) or session.is_done
    list(schedule(session, [SampleRequest([0, task], task, range(3)) for task in (0, 1)]))
    assert looks == [6]


def test_a_stream_draws_one_sample_after_the_other():
    requests = [SampleRequest([0, 5], 5, [2, 0, 1])]
    session = FakeSession(Layout(2, 1))  # the second group stays empty
    updates = list(schedule(session, requests, stream=True))
    lengths = [(update.number, len(update.raw.tokens), update.done) for update in updates]
    # length_of is 9, 3 and 6; there is an update every 4 tokens and at the end.
    assert lengths == [(2, 4, False), (2, 8, False), (2, 9, True), (0, 3, True), (1, 4, False), (1, 6, True)]
    assert session.placed == 1


def test_a_cancelled_schedule_stops():
    answers = iter([False, False, True])
    requests = [SampleRequest([0, 5], 5, [2])]
    session = FakeSession(Layout(1, 1))
    with pytest.raises(GenerationCancelled):
        list(schedule(session, requests, stream=True, cancelled=lambda: next(answers)))
    assert session.steps == 2 * scheduler.STREAM_STEPS


def test_at_most_two_buckets_with_the_least_padding():
    assert buckets([0]) == [64]
    assert buckets([1, 64]) == [64]
    assert buckets([10] * 9 + [65, 300]) == [64, 320]
    assert buckets([10, 200, 250, 260]) == [64, 320]


@pytest.mark.parametrize(
    ("prompts", "n", "batch", "copies", "expected"),
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
def test_layouts(prompts, n, batch, copies, expected):
    assert layout([SampleRequest([0], 0, range(n))] * prompts, batch, copies) == expected
