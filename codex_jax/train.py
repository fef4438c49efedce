"""python -m codex_jax.train EXPERIMENT.py [flags]: pretrains or fine-tunes one run.

EXPERIMENT.py is a Python file that defines `config = TrainConfig(...)`. Every setting is also a flag. --init-from RUN
starts from the parameters of another run, as for fine-tuning. --resume continues an interrupted run from the newest
checkpoint of its run folder, or from step 0 if it has none yet.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial

import jax

from codex_jax import cli, terminal
from codex_jax.config import TrainConfig, validate
from codex_jax.parallel import hosts
from codex_jax.parallel.mesh import check_divides, make_mesh
from codex_jax.planning import capacity
from codex_jax.planning.changes import run_arguments
from codex_jax.records.dataset import Dataset
from codex_jax.records.prefetch import prefetch
from codex_jax.records.shards import Batch
from codex_jax.runs import checkpoints, folder
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
    """The settings of a run; the experiment file gives their defaults."""

    resume: bool = False  # continue from the newest checkpoint of the run folder, or from step 0 if it has none


def check(config: TrainConfig, command: str) -> tuple[TrainConfig, Dataset]:
    """(the completed settings, the data); InputError if they do not fit; command: named in the message on memory."""
    if not config.init_from:  # with init_from, resolve() reads the model from that run
        hosts.on_first(lambda: capacity.require(config, command=command))
    validate(config)
    data = open_data(config)
    config = resolve(config, data)
    hosts.on_first(lambda: capacity.require(config, data.manifest["seq_len"], command))
    return config, data


def batches(config: TrainConfig, data: Dataset, start: int) -> Iterator[Batch]:
    """This host's rows for each step after `start`: a function of seed and step, so resuming needs no state."""
    for step in range(start, config.steps):
        host, count = jax.process_index(), jax.process_count()
        yield data.batch(config.data.train_split, config.seed, step, config.batch_size, host, count)


def train(config: TrainConfig, resume: bool = False, command: str = "EXPERIMENT.py") -> dict[str, float]:
    """Trains the run to its last step and returns its last validation values."""
    config, data = check(config, command)
    eot, length = data.manifest["tokenizer"]["eot"], data.manifest["seq_len"]
    mesh = make_mesh(config.mesh)
    check_divides(config, length, mesh)
    hosts.on_first(lambda: folder.prepare(config, data, resume))
    is_main = jax.process_index() == 0  # the process that prints, and writes the metrics
    with jax.set_mesh(mesh), checkpoints.writing(config.folder, config.keep_checkpoints) as manager:
        state = start_state(config, mesh, manager if resume else None)
        start = int(state.step)
        if start >= config.steps:
            terminal.note(f"{config.folder} is at step {start} of {config.steps} already")
            return {}
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
    values = train(config, args.resume, run_arguments(args))
    if jax.process_index() == 0:
        metrics = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
        terminal.say(f"{config.folder}: {metrics}  {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run_experiment(main, TrainArgs))
