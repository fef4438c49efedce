"""A run folder's config.json and tokenizer/; checkpoints.py and metrics.py read and write its other files."""

import re
import shutil
from pathlib import Path

from codex_jax.config import ModelConfig, TrainConfig, from_dict, to_json, with_speed_of
from codex_jax.errors import InputError
from codex_jax.records.dataset import Dataset
from codex_jax.storage.atomic import write_text_atomic
from codex_jax.storage.jsonl import read_json
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer


def prepare(config: TrainConfig, data: Dataset, resume: bool) -> None:
    """Creates the run folder, or with `resume` checks its model and tokenizer; InputError if either fails."""
    folder = config.folder
    if resume:
        saved = read_config(folder)
        check_tokenizer(folder, data.manifest["tokenizer"]["sha256"])
        if with_speed_of(saved.model, config.model) != config.model:
            raise InputError(f"{folder} was trained with another model than this experiment's: {saved.model}")
        return
    if (folder / "config.json").exists():
        raise InputError(f"{folder} holds a run already: add --resume to continue it, or choose another --run-dir")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(data.tokenizer_dir, folder / "tokenizer", dirs_exist_ok=True)
        write_config(folder, config)
    except OSError as error:
        raise InputError(f"cannot write the run folder {folder}: {error.strerror}") from None


def write_config(folder: Path, config: TrainConfig) -> None:
    """Writes config.json."""
    write_text_atomic(folder / "config.json", to_json(config))


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


def newest_step(folder: Path) -> int:
    """The step of the newest checkpoint; InputError if the run has no finished checkpoint."""
    return finished_steps(folder)[0]


def finished_steps(folder: Path) -> list[int]:
    """The steps of the checkpoints, the newest first; InputError if the run has no finished checkpoint."""
    names = [path.name for path in (folder / "checkpoints").glob("*") if path.is_dir()]
    steps = [int(name) for name in names if re.fullmatch("0|[1-9][0-9]*", name)]
    if not steps:
        raise InputError(f"{folder} has no checkpoint: train it first, or name another run folder")
    return sorted(steps, reverse=True)
