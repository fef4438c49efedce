"""Records what the devices do in a few steps."""

from pathlib import Path

import jax

from codex_jax import terminal
from codex_jax.training.loop import Step

BEFORE = 3  # steps that are not recorded: the first ones compile programs


class Profile:
    """Writes a trace of `count` steps, for TensorBoard's profile page and for ui.perfetto.dev, to RUN/profile."""

    def __init__(self, folder: Path, start: int, count: int) -> None:
        """start: the step before the first of this command; 0 for a new run."""
        self._folder, self._first, self._last = folder / "profile", start + BEFORE, start + BEFORE + count
        self._is_recording = False

    def __call__(self, step: Step) -> None:
        """See loop.Action."""
        if step.number == self._first and not (step.last or step.stopped):
            jax.block_until_ready(step.metrics)
            jax.profiler.start_trace(str(self._folder), create_perfetto_trace=True)
            self._is_recording = True
        elif self._is_recording and (step.number >= self._last or step.last or step.stopped):
            jax.block_until_ready(step.metrics)
            jax.profiler.stop_trace()
            self._is_recording = False
            files = sorted(self._folder.rglob("*perfetto_trace.json.gz"))
            terminal.note(f"trace of steps {self._first + 1} to {step.number}: {files[-1] if files else self._folder}")
