"""Saves checkpoints."""

from collections.abc import Callable, Sequence
from typing import Any

from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.storage.jsonl import Json
from codex_jax.training.loop import Step
from codex_jax.training.state import as_trees


class Checkpoint:
    """Saves the state when that is due, after the last step and before the run stops, while training continues."""

    def __init__(self, every: Sequence[int], checkpoints: Checkpoints, about: Callable[[], Json | None]) -> None:
        """every: steps between checkpoints. about: see runs.loading.about; None if the state is not to be saved."""
        self._every, self._checkpoints, self._about = every, checkpoints, about

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        if step.stopped or any(map(step.is_due, self._every)):
            about = self._about()
            if about is not None:
                trees: dict[str, Any] = as_trees(step.state)
                self._checkpoints.save(step.number, about, **trees)
