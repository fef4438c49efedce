"""Watches for training that goes wrong: numbers that are not finite, and spikes of the loss."""

import math
import statistics
from collections import deque
from collections.abc import Callable, Iterable

from codex_jax import terminal
from codex_jax.config import GuardsConfig
from codex_jax.errors import InputError
from codex_jax.runs.history import History
from codex_jax.training.loop import Step

WINDOW = 64  # finished steps that a loss is compared with
LEAST = 16  # fewer steps than this say nothing about a spike
RISE = 0.1  # a spike is also at least this fraction above the mean: the losses of a converged model hardly differ


class DivergedError(InputError):
    """Training has stopped because of its numbers."""


class RollBack(Exception):  # a request and not an error
    """The loss has spiked at `step`: go on from the newest checkpoint before it, after the batches up to it."""

    def __init__(self, step: int) -> None:
        """step: where the loss spiked."""
        super().__init__(step)
        self.step = step


class Guard:
    """Reads every finished step. The step itself has skipped an update that is not finite (training/step.py).

    losses: of the latest steps; a checkpoint has them, so that a resumed run sees the same spikes.
    streak: skipped updates in a row.
    """

    def __init__(
        self,
        config: GuardsConfig,
        history: History,
        advice: Callable[[], str],
        losses: Iterable[float] = (),
        is_main: bool = True,
    ) -> None:
        """advice: tells what to do when training has stopped. is_main: whether this process reports."""
        self.losses, self.streak = deque(losses, WINDOW), 0
        self._config, self._history, self._advice, self._is_main = config, history, advice, is_main

    def __call__(self, step: Step) -> None:
        """See loop.Action. DivergedError after too many skipped updates in a row; RollBack if that is configured."""
        loss = float(step.metrics["loss"])
        if bool(step.metrics["skipped"]):
            self._skipped(step.number)
            return
        self.streak = 0
        if self._is_spike(loss):
            mean = statistics.fmean(self.losses)
            self._report("spike", step.number, f"the loss of step {step.number} is {loss:.3f}, and was {mean:.3f}")
            if self._config.roll_back:
                raise RollBack(step.number)
        self.losses.append(loss)

    def _skipped(self, number: int) -> None:
        self.streak += 1
        if self.streak == 1:
            text = f"loss, gradient or update of step {number} is not finite: the update is skipped"
            self._report("skipped update", number, text)
        if self.streak >= self._config.skipped_updates:
            first = number - self.streak + 1
            self._history.add("diverged", number)
            raise DivergedError(
                f"loss, gradient or update are not finite in steps {first} to {number}: training has stopped, and "
                f"no update of them was kept; {self._advice()}"
            )

    def _is_spike(self, loss: float) -> bool:
        if not self._config.spike_deviations or len(self.losses) < LEAST:
            return False
        mean, deviation = statistics.fmean(self.losses), statistics.pstdev(self.losses)
        return loss - mean > max(self._config.spike_deviations * deviation, RISE * math.fabs(mean))

    def _report(self, event: str, number: int, text: str) -> None:
        self._history.add(event, number)
        if self._is_main:
            terminal.warn(text)
