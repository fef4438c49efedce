"""The training loop: a generator of steps. After each step, the command calls its actions."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from codex_jax.training.loss import Batch
from codex_jax.training.state import TrainState
from codex_jax.training.step import Metrics, TrainStep


class Step(NamedTuple):
    """A training step that has been dispatched: the devices may still be computing it."""

    number: int  # from 1
    last: bool  # whether it is the run's last step
    state: TrainState  # after this step; its buffers are donated to the next step
    metrics: Metrics  # reading them waits until the step is done

    def is_due(self, every: int) -> bool:
        """True after every `every` steps and after the last; 0: after the last only."""
        return self.last or (every > 0 and self.number % every == 0)


# Called after each step, in all processes of the run; it uses step.is_due() to act only every so many steps.
Action = Callable[[Step], None]


def steps(state: TrainState, batches: Iterable[Batch], train_step: TrainStep, total: int) -> Iterator[Step]:
    """Trains on each batch and yields each step once it is dispatched; total: the number of the run's last step.

    An action that reads metrics one step late keeps the devices busy: they compute the next step meanwhile.
    """
    for number, batch in enumerate(batches, int(state.step) + 1):
        state, metrics = train_step(state, batch)
        yield Step(number, number == total, state, metrics)
