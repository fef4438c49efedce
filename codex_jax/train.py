"""python -m codex_jax.train EXPERIMENT.py [flags]: pretrains or fine-tunes one run.

EXPERIMENT.py is a Python file with `config = TrainConfig(...)`; every field is a flag, such as
--optimizer.peak-learning-rate 3e-4. --resume goes on from the newest checkpoint of the run folder, or from step 0 where
the run was stopped before its first.
"""

import itertools
import math
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import jax
import tyro

from codex_jax import cli, terminal
from codex_jax.config import TrainConfig, validate, with_speed_of
from codex_jax.errors import InputError
from codex_jax.model.gpt import GPT
from codex_jax.parallel import hosts
from codex_jax.parallel.mesh import check_divides, make_mesh
from codex_jax.planning import capacity
from codex_jax.records.dataset import Dataset
from codex_jax.records.prefetch import prefetch
from codex_jax.records.shards import Batch
from codex_jax.runs import checkpoints
from codex_jax.runs.metrics import MetricsLog
from codex_jax.training.experiment import check_tokenizer, open_data, resolve
from codex_jax.training.optimizer import learning_rate, make_optimizer
from codex_jax.training.state import TrainState, init_state, state_shardings
from codex_jax.training.step import make_eval_step, make_train_step, to_global


def prepare_folder(config: TrainConfig, data: Dataset, resume: bool) -> None:
    """Makes the run folder with config.json and tokenizer/; InputError where it holds another run."""
    folder = config.folder
    if (folder / "config.json").exists() and not resume:
        raise InputError(f"{folder} holds a run already: add --resume to go on with it, or choose another --run-dir")
    if resume:
        theirs = checkpoints.read_config(folder)
        check_tokenizer(folder, data.manifest["tokenizer"]["sha256"])
        if with_speed_of(theirs.model, config.model) != config.model:
            raise InputError(f"{folder} was trained with another model than this experiment's: {theirs.model}")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(data.tokenizer_dir, folder / "tokenizer", dirs_exist_ok=True)
        checkpoints.write_config(folder, config)
    except OSError as error:
        raise InputError(f"cannot write the run folder {folder}: {error.strerror}") from None


def validation(config: TrainConfig, data: Dataset, mesh: Any, eval_step: Any, params: Any) -> dict[str, float]:
    """The validation loss in nats a target and, where every token counts, in bits per byte of text."""
    split = data.manifest["splits"].get(config.data.validation_split)
    if not split or not split["records"]:
        return {}
    total = weight = 0.0
    batches = 0
    place = (jax.process_index(), jax.process_count())
    local = data.sequential(config.data.validation_split, config.batch_size, *place)
    first = itertools.islice(local, config.eval_batches or None)
    with closing(prefetch(first, lambda rows: to_global(mesh, rows))) as placed:
        for batch in placed:
            loss, count = eval_step(params, batch)
            total, weight, batches = total + float(loss), weight + float(count), batches + 1
    values = {"validation_loss": total / max(weight, 1.0)}
    if "loss_mask" not in batch:
        seen = min(1.0, batches * config.batch_size / split["records"])
        values["bits_per_byte"] = total / seen / split["bytes"] / math.log(2)
    return values


def train(config: TrainConfig, resume: bool = False, command: str = "EXPERIMENT.py") -> dict[str, float]:
    """Trains the run to its last step and returns its last validation values."""
    if not config.init_from:  # whose model may be another
        hosts.on_first(lambda: capacity.require(config, command=command))
    validate(config)
    data = open_data(config)
    config = resolve(config, data)
    hosts.on_first(lambda: capacity.require(config, data.manifest["seq_len"], command))
    mesh = make_mesh(config.mesh)
    check_divides(config, data.manifest["seq_len"], mesh)
    hosts.on_first(lambda: prepare_folder(config, data, resume))

    model, optimizer = GPT(config.model), make_optimizer(config.optimizer, config.steps)
    eot = data.manifest["tokenizer"]["eot"]
    schedule, offload = learning_rate(config.optimizer, config.steps), config.optimizer.offload
    manager = checkpoints.open_manager(config.folder, config.keep_checkpoints)
    with jax.set_mesh(mesh):
        state = start(config, model, optimizer, mesh, manager if resume else None)
        first = int(state.step)
        if first >= config.steps:
            print(f"{config.folder} is at step {first} of {config.steps} already", file=sys.stderr)
            return {}
        train_step = make_train_step(model, optimizer, mesh, eot, config.accumulation, config.loss_chunks, offload)
        eval_step = make_eval_step(model, eot, config.loss_chunks)
        seq_tokens = config.batch_size * data.manifest["seq_len"]
        values: dict[str, float] = {}
        placed = prefetch(batches(config, data, first), lambda item: (item[0], to_global(mesh, item[1])))
        with (
            MetricsLog(config.folder, first) as log,
            terminal.progress(config.name, config.steps, shown=jax.process_index() == 0) as report,
            closing(placed),
        ):
            report(first)
            if first == 0:
                values = validation(config, data, mesh, eval_step, state.params)
                log.write(0, **values)
            clock = time.monotonic()
            pending: tuple[int, Any] | None = None
            for step, batch in placed:
                state, metrics = train_step(state, batch)
                # Step n is under way while the metrics of step n - 1 are read.
                if pending:
                    clock = log_step(log, report, pending, config, schedule, seq_tokens, clock)
                pending = (step + 1, metrics)
                done = step + 1
                if done % config.checkpoint_every == 0 and done < config.steps:
                    checkpoints.save(manager, state, done)
                if config.eval_every and done % config.eval_every == 0 and done < config.steps:
                    log.write(done, **validation(config, data, mesh, eval_step, state.params))
            assert pending is not None
            log_step(log, report, pending, config, schedule, seq_tokens, clock)
            checkpoints.save(manager, state, config.steps)
            values = validation(config, data, mesh, eval_step, state.params)
            log.write(config.steps, **values)
    manager.wait_until_finished()
    manager.close()
    return values


def start(config: TrainConfig, model: GPT, optimizer: Any, mesh: Any, resumed: Any) -> TrainState:
    """The state to begin from: 1. the run's newest checkpoint, 2. another run's parameters, 3. the seed."""
    shapes, placed = state_shardings(model, optimizer, mesh, config.optimizer.offload)
    if resumed is not None and resumed.latest_step() is not None:
        return checkpoints.restore(resumed, checkpoints.newest_step(config.folder), shapes, placed)
    state = init_state(model, optimizer, mesh, config.seed, config.optimizer.offload)
    if config.init_from:
        params, _ = checkpoints.restore_params(Path(config.init_from), shapes.params, placed.params)
        state = state._replace(params=params)
    return state


def batches(config: TrainConfig, data: Dataset, first: int) -> Iterator[tuple[int, Batch]]:
    """(step, this host's rows): a pure function of seed and step, so that resuming needs no state."""
    split, place = config.data.train_split, (jax.process_index(), jax.process_count())
    for step in range(first, config.steps):
        yield step, data.batch(split, config.seed, step, config.batch_size, *place)


def log_step(
    log: MetricsLog, report: Any, pending: Any, config: TrainConfig, schedule: Any, seq_tokens: int, clock: float
) -> float:
    """Moves the bar, and writes a line at every log_every steps; returns the new start of the interval."""
    step, metrics = pending
    logged = step % config.log_every == 0 or step == config.steps
    if not logged:
        report(1)
        return clock
    values = {name: float(value) for name, value in metrics.items()}
    if not math.isfinite(values["loss"]):
        raise InputError(
            f"the loss is not finite at step {step}: lower --optimizer.peak-learning-rate, "
            "then --resume from the last checkpoint"
        )
    now = time.monotonic()
    interval = (step - 1) % config.log_every + 1
    speed = seq_tokens * interval / (now - clock)
    log.write(step, **values, learning_rate=float(schedule(step - 1)), tokens_per_second=speed)
    report(1, f"loss {values['loss']:.3f}  {speed:,.0f} tokens/s")
    return now


@dataclass(frozen=True)
class TrainArgs(TrainConfig):
    """The settings of a run; the experiment file gives their defaults."""

    experiment: tyro.conf.Positional[str] = ""  # EXPERIMENT.py, or EXPERIMENT.py:NAME where it has several
    resume: bool = False  # continue from the newest checkpoint of the run folder, or from step 0 where it has none

    def config(self) -> TrainConfig:
        """The settings that belong to the run."""
        return TrainConfig(**{field.name: getattr(self, field.name) for field in fields(TrainConfig)})


def main(args: TrainArgs) -> int:
    """The command."""
    config, began = args.config(), time.monotonic()
    hosts.join(config.hosts)
    values = train(config, args.resume, shlex.join(sys.argv[1:]))
    if jax.process_index():
        return 0
    shown = "  ".join(f"{name} {value:.4f}" for name, value in values.items())
    print(f"{config.folder}: {shown}  {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.exit(cli.run_experiment(main, TrainArgs))
