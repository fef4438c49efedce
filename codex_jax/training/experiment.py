"""A run's settings made whole: by its experiment file, its data, and the run that it starts from."""

import dataclasses
from pathlib import Path

from codex_jax.config import TrainConfig, with_speed_of
from codex_jax.errors import InputError
from codex_jax.records.dataset import Dataset, open_dataset
from codex_jax.runs import checkpoints
from codex_jax.text.tokenizers import load_tokenizer

VOCAB_MULTIPLE = 128  # so that the vocabulary divides over a mesh axis and fills the lanes of a TPU


def open_data(config: TrainConfig) -> Dataset:
    """The run's data; InputError where it has nothing to train on, or its tokenizer folder is not the manifest's."""
    data = open_dataset(config.data.path)
    data.check(config.data.train_split)
    held, splits = config.data.validation_split, data.manifest["splits"]
    if held not in splits:
        raise InputError(f"{config.data.path} has no split {held!r} to validate on: it has {', '.join(splits)}")
    theirs, wanted = load_tokenizer(str(data.tokenizer_dir)).sha256, data.manifest["tokenizer"]["sha256"]
    if theirs != wanted:
        raise InputError(
            f"{data.tokenizer_dir} ({theirs[:12]}) is not the tokenizer that the records were made with "
            f"({wanted[:12]}): build the data set again"
        )
    return data


def resolve(config: TrainConfig, data: Dataset) -> TrainConfig:
    """Fills what the data and the run to start from decide; InputError where they disagree."""
    tokenizer = data.manifest["tokenizer"]
    vocab_size = -(-tokenizer["vocab_size"] // VOCAB_MULTIPLE) * VOCAB_MULTIPLE
    model = config.model
    if config.init_from:
        source = Path(config.init_from)
        theirs = checkpoints.read_config(source)
        check_tokenizer(source, tokenizer["sha256"])
        model = with_speed_of(theirs.model, model)
    elif model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=vocab_size)
    if model.vocab_size < tokenizer["vocab_size"]:
        raise InputError(f"--model.vocab-size {model.vocab_size} is below the tokenizer's {tokenizer['vocab_size']}")
    if data.manifest["seq_len"] > model.context:
        raise InputError(f"records of {data.manifest['seq_len']} tokens exceed --model.context {model.context}")
    return dataclasses.replace(config, model=model)


def check_tokenizer(folder: Path, sha256: str) -> None:
    """InputError unless the run's tokenizer is the one with this hash."""
    theirs = load_tokenizer(str(folder / "tokenizer"))
    if theirs.sha256 != sha256:
        raise InputError(
            f"the data's tokenizer ({sha256[:12]}) is not the one {folder} was trained with ({theirs.sha256[:12]}): "
            f"build the data with --tokenizer {folder}/tokenizer"
        )
