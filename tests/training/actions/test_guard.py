import math

import pytest

from codex_jax.config import GuardsConfig
from codex_jax.errors import InputError
from codex_jax.runs.history import History
from codex_jax.training.actions.guard import Guard, RollBack
from codex_jax.training.loop import Step

NAN = math.nan


def watch(losses, guards=None, **settings):
    """(the guard after these losses, its history's events); a loss that is not finite is a skipped update."""
    history = History([])
    guard = Guard(guards or GuardsConfig(**settings), history, lambda: "lower the rate")
    for number, loss in enumerate(losses, 1):
        guard(Step(number, False, None, {"loss": loss, "skipped": not math.isfinite(loss)}))
    return guard, [(row["event"], row["step"]) for row in history.rows]


def test_a_skipped_update_is_reported_once_per_streak(capsys):
    guard, events = watch([1, NAN, NAN, 1, math.inf, 1])
    assert events == [("skipped update", 2), ("skipped update", 5)]
    assert [*guard.losses] == [1, 1, 1]
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 2
    assert "step 2 is not finite: the update is skipped" in lines[0]


def test_too_many_skipped_updates_in_a_row_stop_the_run():
    assert watch([1, NAN, NAN, 1, NAN, NAN], skipped_updates=3)[0].streak == 2
    with pytest.raises(InputError, match=r"not finite in steps 3 to 5: .* no update of them was kept; lower the rate"):
        watch([1, 1, NAN, NAN, NAN, 1], skipped_updates=3)


def test_a_spike_is_reported(capsys):
    noise = [3 + 0.01 * (-1) ** n for n in range(40)]
    _, events = watch([*noise, 3.5, *noise[:5], 3.02])
    assert events == [("spike", 41)]
    assert capsys.readouterr().err == "warning: the loss of step 41 is 3.500, and was 3.000\n"


def test_a_noisy_or_falling_loss_has_no_spikes():
    assert watch([3 + (-1) ** n for n in range(40)])[1] == []
    assert watch([9 / n for n in range(1, 60)])[1] == []
    assert watch([1e-3] * 40 + [1.05e-3])[1] == []  # constant losses have no deviation
    assert watch([3.0] * 40 + [9.0], spike_deviations=0)[1] == []
    assert watch([3.0] * 10 + [9.0])[1] == []  # too few to compare with


def test_a_resumed_run_sees_the_same_spike():
    guard, _ = watch([3.0] * 20)
    later = Guard(GuardsConfig(roll_back=True), History([]), str, guard.losses)
    with pytest.raises(RollBack) as raised:
        later(Step(21, False, None, {"loss": 9.0, "skipped": False}))
    assert raised.value.step == 21
