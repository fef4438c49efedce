import pytest

from codex_jax.config import OptimizerConfig, TrainConfig
from codex_jax.training.actions.log import Log
from codex_jax.training.clock import Clock
from codex_jax.training.loop import OneStepLate, Step

CONFIG = TrainConfig(
    steps=5, log_every=2, optimizer=OptimizerConfig(peak_learning_rate=1.0, warmup_steps=4, final_fraction=0.1)
)


class Scalar:
    """A metric that notes when it is read."""

    def __init__(self, value, events, name):
        self.value, self.events, self.name = value, events, name

    def __float__(self):
        self.events.append(f"read {self.name}")
        return float(self.value)


def run(losses, config=CONFIG):
    """(the lines written, what happened in order, the notes beside the progress bar)."""
    lines, events, notes = [], [], []
    log = Log(
        config,
        100,
        lambda step, **values: lines.append({"step": step, **values}),
        lambda n, note="": notes.append(note),
        Clock(),
        ideal_seconds=1e-9,
    )
    late = OneStepLate([log], save_every=[100])
    for number, loss in enumerate(losses, 1):
        events.append(f"step {number}")
        late(Step(number, number == len(losses), None, {"loss": Scalar(loss, events, number)}))
    return lines, events, notes


def test_every_second_step_and_the_last_are_logged_one_step_late():
    lines, events, notes = run([5, 4, 3, 2, 1])
    assert [(line["step"], line["loss"]) for line in lines] == [(2, 4.0), (4, 2.0), (5, 1.0)]
    assert events == ["step 1", "step 2", "step 3", "read 2", "step 4", "step 5", "read 4", "read 5"]
    assert [note.split("  ")[0] for note in notes] == ["", "loss 4.000", "", "loss 2.000", "loss 1.000"]


def test_a_line_has_the_learning_rate_of_its_step_and_the_speed():
    lines, _, _ = run([1, 1, 1, 1, 1])
    # A warm-up of 4 steps from a fifth of the peak to the peak: step n is the n-th fifth.
    assert [line["learning_rate"] for line in lines] == pytest.approx([0.4, 0.8, 1.0])
    assert [line["tokens_seen"] for line in lines] == [200, 400, 500]
    speed = {"tokens_per_second", "step_seconds", "data_seconds", "goodput", "memory_gib", "mfu"}
    for line in lines:
        totals = {f"total_seconds/{phase}" for phase in ("start", "steps", "total")}
        assert line.keys() == {"step", "loss", "learning_rate", "tokens_seen", *speed, *totals}
        assert line["total_seconds/total"] == line["total_seconds/start"] + line["total_seconds/steps"]
        assert line["tokens_per_second"] == pytest.approx(100 / line["step_seconds"])
        assert line["mfu"] == pytest.approx(1e-9 / line["step_seconds"])
        assert 0 < line["goodput"] <= 1
        assert line["memory_gib"] > 0
