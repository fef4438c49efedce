"""python -m codex_jax.train EXPERIMENT.py [flags]: pretrains or fine-tunes one run.

EXPERIMENT.py is a Python file that defines `config = TrainConfig(...)`. Every setting is also a flag. --init-from RUN
starts from the parameters of another run, as for fine-tuning.

python -m codex_jax.train --resume RUN continues an interrupted run with its own settings, from its newest checkpoint,
or from step 0 if it has none yet. Flags may change its length, what is logged and saved, and what depends on the
machine; other changes need --override NAME.
"""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated

import jax
import tyro

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
from codex_jax.runs import folder, wandb_tracker
from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.runs.folder import OpenRun, finished_steps, open_run
from codex_jax.runs.history import History, read_history
from codex_jax.runs.metrics import WriteMetrics, read_metrics
from codex_jax.sampling import trials
from codex_jax.sampling.trials import Trials
from codex_jax.text.tokenizers import load_tokenizer
from codex_jax.training.actions.guard import RollBack
from codex_jax.training.actions.profile import Profile
from codex_jax.training.clock import Clock
from codex_jax.training.experiment import open_data, resolve
from codex_jax.training.loop import Action, Step
from codex_jax.training.trainer import Trainer

METADATA_HOST = os.environ.get("GCE_METADATA_HOST", "metadata.google.internal")  # announces preemptions of TPU VMs


@dataclass(frozen=True)
class TrainArgs(cli.ExperimentArgs):
    """The settings of a run; the experiment file, or the run that is resumed, gives their defaults."""

    load = staticmethod(folder.load_settings)
    resume: bool = False  # continue from the newest checkpoint of the run folder, or from step 0 if it has none
    # with --resume: a setting that may differ from the run's, such as batch-size; give it once per setting
    override: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    profile: int = 0  # record a trace of so many steps in RUN/profile, for TensorBoard and ui.perfetto.dev
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
    wandb_tracker.check(config.wandb)
    data = open_data(config)
    config = resolve(config, data, saved)
    hosts.on_first(lambda: capacity.require(config, data.manifest["seq_len"], command))
    return config, data


def ideal_seconds(config: TrainConfig, data: Dataset) -> float:
    """Seconds of a step in which the devices do nothing but its matrix products, at their peak."""
    flops = model_flops(config, data.manifest["seq_len"], jax.device_count())
    return flops / peak_flops(jax.local_devices()[0]) if jax.process_index() == 0 else 0.0


def train(
    config: TrainConfig,
    resume: bool = False,
    command: str = "EXPERIMENT.py",
    override: Sequence[str] = (),
    at: int = 0,
    profile: int = 0,
) -> dict[str, float] | None:
    """Trains the run to its last step and returns its last validation values, or None if a signal has stopped it.

    command: the experiment and its flags, for messages. override: names of settings that --resume may change.
    at: the step of the checkpoint to resume from; 0: the newest. profile: how many steps to record.
    """
    saved = folder.read_config(config.folder) if resume else None
    if profile < 0:
        raise InputError(f"--profile must be at least 0 steps, not {profile}")
    benchmark = trials.load(config.trials)
    config, data = check(config, command, saved)
    ideal = ideal_seconds(config, data)  # before the mesh is set, as it uses one device of this host
    mesh = make_mesh(config.mesh)
    check_divides(config, data.manifest["seq_len"], mesh)
    with jax.set_mesh(mesh), ExitStack() as stack:
        opened: list[OpenRun] = []  # in the main process
        hosts.on_first(lambda: opened.append(stack.enter_context(open_run(config, data, resume, override))))
        run = opened[0] if opened else OpenRun(config, History(read_history(config.folder)), {}, data.digest)
        checkpoints = Checkpoints(config.folder, config.keep_checkpoints, config.keep_every)
        stack.callback(checkpoints.close)
        tokenizer = load_tokenizer(str(data.tokenizer_dir))

        def more(write: WriteMetrics, start: int) -> tuple[Action, ...]:
            profiles = (Profile(config.folder, start, profile),) if profile and run.history.is_open else ()
            if not (benchmark or config.trials.prompt):
                return profiles
            samples = Trials(config, tokenizer, benchmark, write)
            if start and jax.process_index() == 0:
                samples.resume(start, read_metrics(config.folder))
            return (*profiles, samples)

        trainer = Trainer(run, data, mesh, checkpoints, ideal, more)
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
    if jax.process_index() == 0:
        terminal.note(spent(clock.seconds()))
    seconds = {name: round(value, 3) for name, value in clock.seconds().items()}
    if not step.stopped:
        run.history.add("finished", step.number, seconds=seconds)
        return values
    run.history.add("stopped", step.number, reason=step.stopped, seconds=seconds)
    if jax.process_index() == 0:
        terminal.say(f"stopped after {steps} ({step.stopped}); continue with {command}")
    return None


def spent(seconds: dict[str, float]) -> str:
    """Where the time went, the longest phase first, such as "time 1m00s: steps 90%, start 10%"."""
    total = seconds["total"]
    phases = sorted(((part, name) for name, part in seconds.items() if name != "total"), reverse=True)
    return f"time {terminal.duration(total)}: " + ", ".join(f"{name} {part / total:.1%}" for part, name in phases)


def main(args: TrainArgs) -> int:
    """The command."""
    began = time.monotonic()
    config = args.config()
    hosts.join(config.hosts)
    try:
        values = train(config, args.resume, run_arguments(args), args.override, args.resume_step, args.profile)
    except Exception as error:
        if not hosts.is_lost(error):
            raise
        command = folder.resume_command(config.folder)
        raise InputError(f"another host has ended: see its own error message; continue with {command}") from error
    if jax.process_index() == 0 and values is not None:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        terminal.say(f"{config.folder}: {metrics}  {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    hosts.end(cli.run_experiment(main, TrainArgs))
