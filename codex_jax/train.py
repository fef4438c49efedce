"""python -m codex_jax.train EXPERIMENT.py [flags]: pretrains or fine-tunes one run.

EXPERIMENT.py is a Python file that defines `config = TrainConfig(...)`. Every setting is also a flag. --init-from RUN
starts from the parameters of another run, as for fine-tuning.

python -m codex_jax.train --resume RUN continues an interrupted run with its own settings, from its newest checkpoint,
or from step 0 if it has none yet. Flags may change its length, what is logged and saved, and what depends on the
machine; other changes need --override NAME.
"""

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated

import jax
import numpy as np
import tyro
from jax.sharding import Mesh

from codex_jax import cli, terminal
from codex_jax.config import TrainConfig, validate
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.parallel.mesh import check_divides, make_mesh
from codex_jax.parallel.stopping import Stop
from codex_jax.planning import capacity
from codex_jax.planning.changes import run_arguments
from codex_jax.planning.device_peak import peak_flops
from codex_jax.planning.projection import model_flops
from codex_jax.records.dataset import Dataset
from codex_jax.records.prefetch import prefetch
from codex_jax.records.shards import Batch
from codex_jax.runs import folder, loading
from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.runs.folder import OpenRun, finished_steps, open_run
from codex_jax.runs.history import History, read_history
from codex_jax.runs.metrics import open_metrics
from codex_jax.storage.jsonl import Json
from codex_jax.training.actions.checkpoint import Checkpoint
from codex_jax.training.actions.evaluate import Evaluate
from codex_jax.training.actions.guard import Guard, RollBack
from codex_jax.training.actions.log import Log
from codex_jax.training.clock import Clock, process_age
from codex_jax.training.experiment import open_data, resolve
from codex_jax.training.loop import Action, OneStepLate, Step, Stopping, steps
from codex_jax.training.state import TrainState, new_state, saved_state
from codex_jax.training.step import make_eval_step, make_train_step, to_global

METADATA_HOST = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")  # announces preemptions of TPU VMs


@dataclass(frozen=True)
class TrainArgs(cli.ExperimentArgs):
    """The settings of a run; the experiment file, or the run that is resumed, gives their defaults."""

    load = staticmethod(folder.load_settings)
    resume: bool = False  # continue from the newest checkpoint of the run folder, or from step 0 if it has none
    # with --resume: a setting that may differ from the run's, such as batch-size; give it once per setting
    override: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    resume_step: int = 0  # with --resume: the checkpoint to continue from, as --resume RUN@STEP; 0: the newest

    @staticmethod
    def split(words: Sequence[str]) -> tuple[str, list[str]]:
        """As for every experiment; --resume RUN takes the run's own settings, or with an experiment is its folder."""
        words = [part for word in words for part in (word.split("=", 1) if word[:9] == "--resume=" else [word])]
        name, flags = cli.ExperimentArgs.split(words)
        at = flags.index("--resume") + 1 if "--resume" in flags else len(flags)
        if at == len(flags) or flags[at].startswith("-"):
            return name, flags
        run, step = folder.parse_run(flags.pop(at))
        flags += [] if step is None else ["--resume-step", str(step)]
        if name:
            return name, [*flags, "--run-dir", str(run)]
        if not run.is_dir():
            raise InputError(f"{run} is not a run folder: name one written by codex_jax.train")
        return str(run), flags


def check(config: TrainConfig, command: str, saved: TrainConfig | None = None) -> tuple[TrainConfig, Dataset]:
    """(the completed settings, the data); InputError if they do not fit.

    command: named in the message on memory. saved: the settings of the run that is resumed.
    """
    if not config.init_from:  # with init_from, resolve() reads the model from that run
        hosts.on_first(lambda: capacity.require(config, command=command))
    validate(config)
    data = open_data(config)
    config = resolve(config, data, saved)
    hosts.on_first(lambda: capacity.require(config, data.manifest["seq_len"], command))
    return config, data


def batches(config: TrainConfig, data: Dataset, start: int, history: History) -> Iterator[Batch]:
    """This host's rows for each step after `start`: a function of seed and step, so resuming needs no state."""
    host, count = jax.process_index(), jax.process_count()
    for step in range(start, config.steps):
        number = step + history.skipped(step)
        yield data.batch(config.data.train_split, config.seed, number, config.batch_size, host, count)


class Trainer:
    """One command's work on a run: it may start several times from a checkpoint, after spikes of the loss."""

    def __init__(self, config: TrainConfig, data: Dataset, mesh: Mesh, run: OpenRun, checkpoints: Checkpoints) -> None:
        """config, data: from check(). run: the open run folder."""
        self.config, self.data, self.mesh, self.run, self.checkpoints = config, data, mesh, run, checkpoints
        self.is_main = jax.process_index() == 0  # the process that prints, and writes the metrics
        self.about = loading.about(config.model, data.manifest["tokenizer"]["sha256"], data.digest)
        self.clock = Clock(process_age())
        self.train_step = self.clock.compiling(make_train_step(config, mesh, data.manifest["tokenizer"]["eot"]))
        self.eval_step = make_eval_step(config, data.manifest["tokenizer"]["eot"])

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
        guard = Guard(config.guards, history, self.advice(), about.get("losses", ()), self.is_main)

        def saved() -> Json | None:
            return None if guard.streak else {**self.about, "losses": [*guard.losses]}

        with (
            open_metrics(config.folder, start, self.is_main) as write,
            terminal.progress(config.name, config.steps, shown=self.is_main, done=start) as report,
            closing(prefetch(batches(config, data, start, history), partial(to_global, self.mesh))) as prefetched,
        ):
            evaluate = Evaluate(config, data, self.mesh, self.eval_step, write)
            missing = start == 0 or (self.is_main and evaluate.is_missing(start))
            if hosts.of_first(np.array(missing)):
                self.clock.timed("evaluate", evaluate.run)(start, state.params)
            tokens = config.batch_size * data.manifest["seq_len"]
            log = Log(config, tokens, write, report, self.clock, self.ideal_seconds())
            save = Checkpoint(config.checkpoint_every, self.checkpoints, saved)
            actions: tuple[Action, ...] = (
                OneStepLate([guard, log], config.checkpoint_every),
                self.clock.timed("checkpoint", save),
                self.clock.timed("evaluate", evaluate),
            )
            for step in steps(state, self.clock.waiting(prefetched), self.train_step, config.steps, stop):
                for action in actions:
                    action(step)
        return step, evaluate.values

    def is_saved(self, step: int) -> bool:
        """Waits for the save in progress; returns whether there is a checkpoint of this step."""
        with self.clock.phase("checkpoint"):
            return self.checkpoints.finish() or step in finished_steps(self.config.folder)

    def ideal_seconds(self) -> float:
        """Seconds of a step in which the devices do nothing but its matrix products, at their peak."""
        flops = model_flops(self.config, self.data.manifest["seq_len"], jax.device_count())
        return flops / peak_flops(jax.local_devices()[0]) if self.is_main else 0.0

    def advice(self) -> str:
        """What to do after training has diverged."""
        lower = "--optimizer.peak-learning-rate RATE --override optimizer.peak-learning-rate"
        return (
            f"go on at a lower rate from a checkpoint before that: python -m codex_jax.train --resume "
            f"{self.config.folder}@STEP {lower}, or start again"
        )


def train(
    config: TrainConfig, resume: bool = False, command: str = "EXPERIMENT.py", override: Sequence[str] = (), at: int = 0
) -> dict[str, float] | None:
    """Trains the run to its last step and returns its last validation values, or None if a signal has stopped it.

    command: the experiment and its flags, for messages. override: names of settings that --resume may change.
    at: the step of the checkpoint to resume from; 0: the newest.
    """
    saved = folder.read_config(config.folder) if resume else None
    config, data = check(config, command, saved)
    mesh = make_mesh(config.mesh)
    check_divides(config, data.manifest["seq_len"], mesh)
    with jax.set_mesh(mesh), ExitStack() as stack:
        opened: list[OpenRun] = []  # in the main process
        hosts.on_first(lambda: opened.append(stack.enter_context(open_run(config, data, resume, override))))
        run = opened[0] if opened else OpenRun(config, History(read_history(config.folder)), {}, data.digest)
        checkpoints = Checkpoints(config.folder, config.keep_checkpoints, config.keep_every)
        stack.callback(checkpoints.close)
        trainer = Trainer(config, data, mesh, run, checkpoints)
        stop = stack.enter_context(Stop(mesh, METADATA_HOST if hosts.on_tpu_vm() else ""))
        state, about = trainer.start(resume, at or None)
        if int(state.step) >= config.steps:
            terminal.note(f"{config.folder} is at step {int(state.step)} of {config.steps} already")
            return {}
        run.begin(int(state.step))
        while True:
            try:
                step, values = trainer.train(state, about, stop)
                break
            except RollBack as spike:
                checkpoints.set_aside(spike.step - 1, "deleted")
                state, about = trainer.start(resumed=True)
                run.roll_back(spike.step, int(state.step))
        return finish(run, step, trainer.is_saved(step.number), values, trainer.clock)


def finish(run: OpenRun, step: Step, is_saved: bool, values: dict[str, float], clock: Clock) -> dict[str, float] | None:
    """Records how the run has ended; returns `values`, or None if it was stopped.

    is_saved: whether the state after `step` is in a checkpoint; InputError if not.
    """
    command, steps = folder.resume_command(run.config.folder), f"step {step.number} of {run.config.steps}"
    if not is_saved:
        newest = max(finished_steps(run.config.folder), default=0)
        raise InputError(f"{steps} could not be saved: the newest checkpoint is that of step {newest}; then {command}")
    seconds = {name: round(value, 3) for name, value in clock.seconds().items()}
    if not step.stopped:
        run.history.add("finished", step.number, seconds=seconds)
        return values
    run.history.add("stopped", step.number, reason=step.stopped, seconds=seconds)
    if jax.process_index() == 0:
        terminal.say(f"stopped after {steps} ({step.stopped}); continue with {command}")
    return None


def main(args: TrainArgs) -> int:
    """The command."""
    began = time.monotonic()
    config = args.config()
    hosts.join(config.hosts)
    values = train(config, args.resume, run_arguments(args), args.override, args.resume_step)
    if jax.process_index() == 0 and values is not None:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        terminal.say(f"{config.folder}: {metrics}  {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run_experiment(main, TrainArgs))
