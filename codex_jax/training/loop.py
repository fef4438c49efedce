"""The training loop: a generator of steps. After each step, the command calls its actions."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
    stopped: str = ""  # why the run ends after this step before its last, such as SIGTERM

    def is_due(self, every: int) -> bool:
        """True after every `every` steps and after the last; 0: after the last only."""
        return self.last or (every > 0 and self.number % every == 0)


# Called after each step, in all processes of the run; it uses step.is_due() to act only every so many steps.
Action = Callable[[Step], None]

# Called before each step; returns a function that tells after its dispatch why the run is to stop, or "".
Stopping = Callable[[], Callable[[], str]]


def never() -> Callable[[], str]:
    """Stops for nothing."""
    return str


def steps(
    state: TrainState, batches: Iterable[Batch], train_step: TrainStep, total: int, stop: Stopping = never
) -> Iterator[Step]:
    """Trains on each batch and yields each step once it is dispatched; total: the number of the run's last step.

    An action that reads metrics one step late keeps the devices busy: they compute the next step meanwhile.
    """
    for number, batch in enumerate(batches, int(state.step) + 1):
        stopped = stop()
        state, metrics = train_step(state, batch)
        step = Step(number, number == total, state, metrics, stopped())
        yield step
        if step.stopped:
            return


class OneStepLate:
    """An action that calls others when the next step has been dispatched, so that the devices never wait for them.

    It calls them at once for a step whose state is saved or which is the last: what is saved has then been checked and
    logged.
    """

    def __init__(self, actions: Iterable[Action], save_every: Sequence[int]) -> None:
        """save_every: steps between checkpoints, see Checkpoint."""
        self._actions, self._save_every = tuple(actions), save_every
        self._previous: Step | None = None

    def __call__(self, step: Step) -> None:
        """See Action."""
        waiting, self._previous = [self._previous, step], None
        if not (step.stopped or any(map(step.is_due, self._save_every))):
            self._previous = waiting.pop()
        for finished in filter(None, waiting):
            for action in self._actions:
                action(finished)
