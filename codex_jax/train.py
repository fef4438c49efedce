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
from pathlib import Path
from typing import Annotated

import jax
import tyro

from codex_jax import cli, terminal
from codex_jax.config import TrainConfig, validate
from codex_jax.errors import InputError
from codex_jax.parallel import hosts
from codex_jax.parallel.mesh import check_divides, make_mesh
from codex_jax.planning import capacity
from codex_jax.planning.changes import run_arguments
from codex_jax.records.dataset import Dataset
from codex_jax.records.prefetch import prefetch
from codex_jax.records.shards import Batch
from codex_jax.runs import folder
from codex_jax.runs.checkpoints import open_manager
from codex_jax.runs.metrics import open_metrics
from codex_jax.training.actions.checkpoint import Checkpoint
from codex_jax.training.actions.evaluate import Evaluate
from codex_jax.training.actions.log import Log
from codex_jax.training.experiment import open_data, resolve
from codex_jax.training.loop import Action, steps
from codex_jax.training.state import start_state
from codex_jax.training.step import make_train_step, to_global


@dataclass(frozen=True)
class TrainArgs(cli.ExperimentArgs):
    """The settings of a run; the experiment file, or the run that is resumed, gives their defaults."""

    load = staticmethod(folder.load_settings)
    resume: bool = False  # continue from the newest checkpoint of the run folder, or from step 0 if it has none
    # with --resume: a setting that may differ from the run's, such as batch-size; give it once per setting
    override: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()

    @staticmethod
    def split(words: Sequence[str]) -> tuple[str, list[str]]:
        """As for every experiment; --resume RUN takes the run's own settings, or with an experiment is its folder."""
        words = [part for word in words for part in (word.split("=", 1) if word[:9] == "--resume=" else [word])]
        name, flags = cli.ExperimentArgs.split(words)
        at = flags.index("--resume") + 1 if "--resume" in flags else len(flags)
        if at == len(flags) or flags[at].startswith("-"):
            return name, flags
        run = flags.pop(at)
        if name:
            return name, [*flags, "--run-dir", run]
        if not Path(run).is_dir():
            raise InputError(f"{run} is not a run folder: name one written by codex_jax.train")
        return run, flags


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


def batches(config: TrainConfig, data: Dataset, start: int) -> Iterator[Batch]:
    """This host's rows for each step after `start`: a function of seed and step, so resuming needs no state."""
    for step in range(start, config.steps):
        host, count = jax.process_index(), jax.process_count()
        yield data.batch(config.data.train_split, config.seed, step, config.batch_size, host, count)


def train(
    config: TrainConfig, resume: bool = False, command: str = "EXPERIMENT.py", override: Sequence[str] = ()
) -> dict[str, float]:
    """Trains the run to its last step and returns its last validation values.

    command: the experiment and its flags, for messages. override: names of settings that --resume may change.
    """
    saved = folder.read_config(config.folder) if resume else None
    config, data = check(config, command, saved)
    eot, length = data.manifest["tokenizer"]["eot"], data.manifest["seq_len"]
    mesh = make_mesh(config.mesh)
    check_divides(config, length, mesh)
    is_main = jax.process_index() == 0  # the process that prints, and writes the metrics
    with jax.set_mesh(mesh), ExitStack() as stack:
        run: list[folder.OpenRun] = []  # in the main process
        hosts.on_first(lambda: run.append(stack.enter_context(folder.open_run(config, data, resume, override))))
        manager = stack.enter_context(closing(open_manager(config.folder, config.keep_checkpoints)))
        state = start_state(config, mesh, manager if resume else None)
        start = int(state.step)
        if start >= config.steps:
            print(f"{config.folder} is at step {start} of {config.steps} already", file=sys.stderr)
            return {}
        for opened in run:
            opened.begin(start)
        train_step = make_train_step(config, mesh, eot)
        with (
            open_metrics(config.folder, start, is_main) as write,
            terminal.progress(config.name, config.steps, shown=is_main) as report,
            closing(prefetch(batches(config, data, start), partial(to_global, mesh))) as prefetched,
        ):
            report(start)
            evaluate = Evaluate(config, data, mesh, write)
            if start == 0:
                evaluate.run(0, state.params)
            actions: tuple[Action, ...] = (
                Log(config, config.batch_size * length, write, report),
                Checkpoint(config.checkpoint_every, manager),
                evaluate,
            )
            for step in steps(state, prefetched, train_step, config.steps):
                for action in actions:
                    action(step)
    return evaluate.values


def main(args: TrainArgs) -> int:
    """The command."""
    began = time.monotonic()
    config = args.config()
    hosts.join(config.hosts)
    values = train(config, args.resume, run_arguments(args), args.override)
    if jax.process_index() == 0:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        print(f"{config.folder}: {metrics}  {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run_experiment(main, TrainArgs))
