from contextlib import closing

import jax
import jax.numpy as jnp

from codex_jax.runs.checkpoints import open_manager
from codex_jax.training.actions.checkpoint import Checkpoint
from codex_jax.training.loop import Step
from codex_jax.training.state import TrainState


def test_every_so_many_steps_and_after_the_last(tmp_path):
    with closing(open_manager(tmp_path)) as manager:
        save = Checkpoint(3, manager)
        for number in range(1, 8):
            state = TrainState(jnp.int32(number), {"w": jnp.full(2, number)}, (jnp.zeros(2),))
            save(Step(number, number == 7, state, {}))
            jax.tree.map(lambda leaf: leaf.delete(), state)  # the next step takes over the buffers
    assert sorted(path.name for path in (tmp_path / "checkpoints").iterdir()) == ["3", "6", "7"]
