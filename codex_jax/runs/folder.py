"""A run folder's config.json and tokenizer/; the other modules of this package read and write its other files."""

import dataclasses
import re
import shlex
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from codex_jax.config import HostsConfig, ModelConfig, TrainConfig, from_dict, load_experiment, to_json
from codex_jax.errors import InputError
from codex_jax.records.dataset import Dataset
from codex_jax.runs.continuing import changed_settings, setting_named
from codex_jax.runs.history import History, open_history
from codex_jax.storage.atomic import write_text_atomic
from codex_jax.storage.jsonl import Json, read_json
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer

CHECKPOINTS = "checkpoints"  # the folder of the checkpoints in a run folder
ROLL_BACKS = 3  # to the same step


def parse_run(run: str | Path) -> tuple[Path, int | None]:
    """RUN or RUN@STEP -> (the run folder, the step of the checkpoint or None for the newest)."""
    text, at, step = str(run).rpartition("@")
    if at and step.isascii() and step.isdigit() and not Path(run).is_dir():
        return Path(text), int(step)
    return Path(run), None


def load_settings(experiment: str) -> TrainConfig:
    """The settings of an experiment file, or of a run folder."""
    if not Path(experiment or "none").is_dir():
        return load_experiment(experiment)
    return dataclasses.replace(read_config(Path(experiment)), run_dir=experiment)


def resume_command(run: str | Path) -> str:
    """The command that continues RUN or RUN@STEP."""
    return f"python -m codex_jax.train --resume {shlex.quote(str(run))}"


class OpenRun:
    """A run folder in which this process trains; no other command can train in it meanwhile."""

    def __init__(self, config: TrainConfig, history: History, changed: Json, digest: str) -> None:
        """changed: settings that differ from config.json. digest: of the data."""
        self.config, self.history, self._changed, self._digest = config, history, changed, digest

    def begin(self, step: int, **values: Any) -> None:
        """Records that training begins after `step`; config.json now has the settings that it begins with."""
        event = "resumed" if self.history.rows else "started"
        if self.history.is_open:
            write_config(self.config.folder, self.config)
        changed = {"changed": self._changed} if self._changed else {}
        self.history.add(event, step, **changed, data=self._digest, **values)

    def roll_back(self, spike: int, step: int) -> None:
        """Records that training goes on after `step`, with the batches that follow those up to the step `spike`."""
        rolled_back = [row for row in self.history.rows if row["event"] == "rolled back" and row["step"] == step]
        if len(rolled_back) >= ROLL_BACKS:
            raise InputError(f"the loss has spiked again after {ROLL_BACKS} returns to step {step}: lower the rate")
        self.history.add("rolled back", step, spike=spike, skipped=spike - step)


@contextmanager
def open_run(config: TrainConfig, data: Dataset, resume: bool, override: Sequence[str] = ()) -> Iterator[OpenRun]:
    """Creates the run folder, or with `resume` opens it if settings, tokenizer and data are those of the run.

    override: names of settings that may differ. InputError if the folder cannot be used.
    """
    folder = config.folder
    if not resume:
        _create(config, data)
    saved = read_config(folder)
    with open_history(folder) as history:
        known = history.latest("data") or ""
        check_tokenizer(folder, data.manifest["tokenizer"]["sha256"])
        changed = changed_settings(saved, config, override, same_data=bool(known) and known == data.digest)
        if known and data.digest and known != data.digest and "data.path" not in map(setting_named, override):
            raise InputError(
                f"{config.data.path} ({data.digest[:12]}) does not hold the records that {folder} was trained on "
                f"({known[:12]}): give --data.path of those, or change them with --override data.path"
            )
        yield OpenRun(config, history, changed, data.digest)


def _create(config: TrainConfig, data: Dataset) -> None:
    folder = config.folder
    if (folder / "config.json").exists():
        raise InputError(
            f"{folder} holds a run already: add --resume to continue it, as in {resume_command(folder)}, or choose "
            "another --run-dir"
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(data.tokenizer_dir, folder / "tokenizer", dirs_exist_ok=True)
        write_config(folder, config)
    except OSError as error:
        raise InputError(f"cannot write the run folder {folder}: {error.strerror or error}") from None


def write_config(folder: Path, config: TrainConfig) -> None:
    """Writes config.json, without the processes of this start."""
    write_text_atomic(folder / "config.json", to_json(dataclasses.replace(config, hosts=HostsConfig())))


def read_config(folder: Path) -> TrainConfig:
    """The settings that a run was trained with; InputError if the folder is not a run."""
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} is not a run folder (no config.json): name one written by codex_jax.train")
    values = read_json(path)
    try:
        if not isinstance(values, dict):
            raise InputError("not an object")
        return from_dict(TrainConfig, values)
    except InputError as error:
        raise InputError(f"{path} is broken: {error}") from None


def read_tokenizer(folder: Path, model: ModelConfig) -> Tokenizer:
    """The run's tokenizer; InputError if it is missing, or has more tokens than the run's model."""
    tokenizer = load_tokenizer(str(folder / "tokenizer"))
    if tokenizer.vocab_size > model.vocab_size:
        raise InputError(
            f"{folder}/tokenizer has {tokenizer.vocab_size} tokens, the model {model.vocab_size}: "
            "it is not the tokenizer that this run was trained with"
        )
    return tokenizer


def check_tokenizer(folder: Path, sha256: str) -> None:
    """InputError unless the run was trained with the tokenizer that has this hash."""
    saved = load_tokenizer(str(folder / "tokenizer")).sha256
    if saved != sha256:
        raise InputError(
            f"the data's tokenizer ({sha256[:12]}) is not the one {folder} was trained with ({saved[:12]}): "
            f"build the data with --tokenizer {folder}/tokenizer"
        )


def finished_steps(folder: Path) -> list[int]:
    """The steps of a run's checkpoints in ascending order; a damaged one counts too."""
    names = [path.name for path in (folder / CHECKPOINTS).glob("*") if path.is_dir()]
    return sorted(int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name))


def check_checkpoint(folder: Path, step: int | None = None) -> None:
    """InputError if a run has no checkpoint, or none of this step."""
    steps = finished_steps(folder)
    if not steps:
        raise InputError(f"{folder} has no checkpoint: train it first, or name another run folder")
    if step is not None and step not in steps:
        raise InputError(f"{folder} has no checkpoint of step {step}: it has {', '.join(map(str, steps))}")
