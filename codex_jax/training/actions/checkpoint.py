"""Saves checkpoints."""

import orbax.checkpoint as ocp

from codex_jax.runs import checkpoints
from codex_jax.training.loop import Step
from codex_jax.training.state import as_trees


class Checkpoint:
    """Saves the state every `every` steps and after the last, while training continues."""

    def __init__(self, every: int, manager: ocp.CheckpointManager) -> None:
        """manager: see checkpoints.open_manager."""
        self._every, self._manager = every, manager

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        if step.is_due(self._every):
            checkpoints.save(self._manager, step.number, **as_trees(step.state))
