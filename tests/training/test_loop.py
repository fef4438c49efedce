from types import SimpleNamespace

import pytest

from codex_jax.training.loop import OneStepLate, Step, steps


def count(state, batch):
    """A training step that adds the batch to the state."""
    return SimpleNamespace(step=state.step + 1, total=state.total + batch), {"loss": batch}


def test_steps_continue_from_the_states_own_number():
    start = SimpleNamespace(step=3, total=100)
    seen = list(steps(start, [10, 20, 30], count, total=6))
    assert [step.number for step in seen] == [4, 5, 6]
    assert [step.last for step in seen] == [False, False, True]
    assert [step.state.total for step in seen] == [110, 130, 160]
    assert [step.metrics for step in seen] == [{"loss": 10}, {"loss": 20}, {"loss": 30}]


def test_a_step_is_dispatched_only_when_the_actions_of_the_one_before_are_done():
    events = []

    def train_step(state, batch):
        events.append(f"train {batch}")
        return count(state, batch)

    for step in steps(SimpleNamespace(step=0, total=0), [1, 2], train_step, total=2):
        events.append(f"act {step.number}")
    assert events == ["train 1", "act 1", "train 2", "act 2"]


@pytest.mark.parametrize(
    ("every", "due"),
    [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5]), (0, [5])],
)
def test_what_is_due_every_so_many_steps_is_also_due_after_the_last(every, due):
    all_steps = [Step(number, number == 5, None, {}) for number in range(1, 6)]
    assert [step.number for step in all_steps if step.is_due(every)] == due


def test_the_run_ends_after_the_step_in_which_all_processes_agree_to_stop():
    reasons = iter(["", "SIGTERM", "never asked"])
    seen = list(steps(SimpleNamespace(step=0, total=0), [1, 2, 3], count, 3, lambda: lambda: next(reasons)))
    assert [(step.number, step.last, step.stopped) for step in seen] == [(1, False, ""), (2, False, "SIGTERM")]


def test_finished_steps_are_seen_one_step_late_but_before_they_are_saved():
    events = []
    late = OneStepLate(
        [lambda step: events.append(("a", step.number)), lambda step: events.append(("b", step.number))], [3]
    )
    seen = []
    for number, stopped in ((1, ""), (2, ""), (3, ""), (4, ""), (5, "SIGTERM")):
        late(Step(number, False, None, {}, stopped))
        seen.append([number for name, number in events if name == "a"])
    assert seen == [[], [1], [1, 2, 3], [1, 2, 3], [1, 2, 3, 4, 5]]
    assert events[:2] == [("a", 1), ("b", 1)]
