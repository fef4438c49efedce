"""One command's training of a run: from a state to its last step, with all that happens every so many steps."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial

import jax
import numpy as np
from jax.sharding import Mesh

from codex_jax import terminal
from codex_jax.config import TrainConfig
from codex_jax.parallel import hosts
from codex_jax.records.dataset import Dataset
from codex_jax.records.prefetch import prefetch
from codex_jax.records.shards import Batch
from codex_jax.runs import loading
from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.runs.folder import OpenRun, finished_steps, resume_command
from codex_jax.runs.history import History
from codex_jax.runs.metrics import Tracker, WriteMetrics, open_metrics, read_metrics
from codex_jax.runs.wandb_tracker import WandbTracker
from codex_jax.storage.jsonl import Json
from codex_jax.training.actions.checkpoint import Checkpoint
from codex_jax.training.actions.evaluate import Evaluate
from codex_jax.training.actions.guard import Guard
from codex_jax.training.actions.log import Log
from codex_jax.training.clock import Clock, process_age
from codex_jax.training.loop import Action, OneStepLate, Step, Stopping, steps
from codex_jax.training.state import TrainState, new_state, saved_state
from codex_jax.training.step import make_eval_step, make_train_step, to_global

MEMORY = 1000  # evaluations whose losses a resumed run compares with
MakeActions = Callable[[WriteMetrics, int], tuple[Action, ...]]  # from (write, the step before the first)


def batches(config: TrainConfig, data: Dataset, start: int, history: History) -> Iterator[Batch]:
    """This host's rows for each step after `start`: a function of seed and step, so resuming needs no state."""
    host, count = jax.process_index(), jax.process_count()
    for step in range(start, config.steps):
        number = step + history.skipped(step)
        yield data.batch(config.data.train_split, config.seed, number, config.batch_size, host, count)


class Trainer:
    """One command's work on a run: it may start several times from a checkpoint, after spikes of the loss."""

    def __init__(
        self,
        run: OpenRun,
        data: Dataset,
        mesh: Mesh,
        checkpoints: Checkpoints,
        ideal_seconds: float = 0.0,
        more: MakeActions = lambda write, start: (),
    ) -> None:
        """run: the open run folder. ideal_seconds: see Log. more: actions besides logs, evaluations and checkpoints."""
        self.run, self.config, self.data, self.mesh, self.checkpoints = run, run.config, data, mesh, checkpoints
        self.ideal_seconds, self.more = ideal_seconds, more
        self.is_main = jax.process_index() == 0  # the process that prints, and writes the metrics
        self.about = loading.about(self.config.model, data.manifest["tokenizer"]["sha256"], data.digest)
        self.clock = Clock(process_age())
        self.train_step = self.clock.compiling(make_train_step(self.config, mesh, data.manifest["tokenizer"]["eot"]))
        self.eval_step = make_eval_step(self.config, data.manifest["tokenizer"]["eot"])

    def start(self, resumed: bool, step: int | None = None) -> tuple[TrainState, Json]:
        """(the state to begin with, what was saved about it): of a checkpoint, or else a new one."""
        if not resumed or not (step or finished_steps(self.config.folder)):
            return new_state(self.config, self.mesh), {}
        known = {row["data"] for row in self.run.history.rows if row.get("data")}
        state, about = saved_state(self.config, self.mesh, self.about, step, known | {self.data.digest})
        self.checkpoints.set_aside(int(state.step), "damaged" if step is None else "left")
        return state, about

    def train(self, state: TrainState, about: Json, stop: Stopping) -> tuple[Step, dict[str, float]]:
        """Trains until the last step or until `stop`; -> (the last step, the values of the last evaluation)."""
        config, data, start, history = self.config, self.data, int(state.step), self.run.history
        guard = Guard(config.guards, history, self.advice, about.get("losses", ()), self.is_main)

        def saved() -> Json | None:
            return None if guard.streak else {**self.about, "losses": [*guard.losses]}

        with (
            open_metrics(config.folder, start, self.is_main, self.trackers()) as write,
            terminal.progress(config.name, config.steps, shown=self.is_main, done=start) as report,
            closing(prefetch(batches(config, data, start, history), partial(to_global, self.mesh))) as prefetched,
        ):
            evaluate = Evaluate(config, data, self.mesh, self.eval_step, write)
            evaluate.recall(self.evaluations() if start else [])
            missing = start == 0 or (self.is_main and evaluate.is_missing(start))
            if hosts.of_first(np.array(missing)):
                self.clock.timed("evaluate", evaluate.run)(start, state.params)
            tokens = config.batch_size * data.manifest["seq_len"]
            log = Log(config, tokens, write, report, self.clock, self.ideal_seconds)
            # With patience, the best parameters are those of an evaluated step.
            saves = (config.checkpoint_every, *([config.eval_every] if config.patience else []))
            save = Checkpoint(saves, self.checkpoints, saved)
            actions: tuple[Action, ...] = (
                OneStepLate([guard, log], saves),
                self.clock.timed("checkpoint", save),
                self.clock.timed("evaluate", evaluate),
                *(self.clock.timed("evaluate", action) for action in self.more(write, start)),
            )
            for step in steps(state, self.clock.waiting(prefetched), self.train_step, config.steps, stop):
                for action in actions:
                    action(step)
                self.checkpoints.best = evaluate.best if config.patience else None
                if evaluate.is_over and not step.last:
                    self.end_early(step.number, evaluate)
                    break
        return step, evaluate.values

    def trackers(self) -> list[Tracker]:
        """Where metrics go besides the run folder."""
        config = self.config
        is_used = self.is_main and config.wandb
        return [WandbTracker(config.wandb, config.folder, dataclasses.asdict(config))] if is_used else []

    def evaluations(self) -> list[Json]:
        """The steps and losses of earlier evaluations, in every process."""
        rows = read_metrics(self.config.folder) if self.is_main else []
        losses = np.full((MEMORY, 2), np.nan, np.float32)
        found = [(row["step"], row["validation_loss"]) for row in rows if "validation_loss" in row][-MEMORY:]
        losses[: len(found)] = found or losses[:0]
        shared = hosts.of_first(losses)
        return [{"step": int(at), "validation_loss": float(loss)} for at, loss in shared if not np.isnan(at)]

    def end_early(self, number: int, evaluate: Evaluate) -> None:
        """Records that the validation loss does not fall any more."""
        self.run.history.add("ended early", number, best=evaluate.best)
        if self.is_main:
            text = f"the validation loss has not fallen since step {evaluate.best}: the run ends after step {number}"
            terminal.note(f"{text}; its best parameters are {self.config.folder}@{evaluate.best}")

    def is_saved(self, step: int) -> bool:
        """Waits for the save in progress; returns whether there is a checkpoint of this step."""
        with self.clock.phase("checkpoint"):
            return self.checkpoints.finish() or step in finished_steps(self.config.folder)

    def advice(self) -> str:
        """What to do after training has diverged."""
        saved = finished_steps(self.config.folder)
        if not saved:
            return "start again with a lower --optimizer.peak-learning-rate"
        command = resume_command(f"{self.config.folder}@{saved[-1]}")
        lower = "--optimizer.peak-learning-rate RATE --override optimizer.peak-learning-rate"
        return f"go on at a lower rate, from this or an earlier checkpoint: {command} {lower}"
