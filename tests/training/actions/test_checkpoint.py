from contextlib import closing

import jax
import jax.numpy as jnp

from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.training.actions.checkpoint import Checkpoint
from codex_jax.training.loop import Step
from codex_jax.training.state import TrainState


def run(folder, total, about=lambda: {}, stopped_at=0):
    with closing(Checkpoints(folder, keep=9)) as checkpoints:
        save = Checkpoint([3], checkpoints, about)
        for number in range(1, total + 1):
            state = TrainState(jnp.int32(number), {"w": jnp.full(2, number)}, (jnp.zeros(2),))
            save(Step(number, number == total, state, {}, "SIGTERM" if number == stopped_at else ""))
            jax.tree.map(lambda leaf: leaf.delete(), state)  # the next step takes over the buffers
    folder = folder / "checkpoints"
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_every_so_many_steps_and_after_the_last(tmp_path):
    assert run(tmp_path, 7) == ["3", "6", "7"]


def test_before_the_run_stops(tmp_path):
    assert run(tmp_path, 5, stopped_at=4) == ["3", "4", "5"]


def test_not_while_updates_are_skipped(tmp_path):
    answers = iter([{}, None, {}])
    assert run(tmp_path, 7, lambda: next(answers)) == ["3", "7"]
