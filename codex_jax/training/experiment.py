"""Completes a run's settings from its data, and from the run that it starts from."""

import dataclasses

from codex_jax.config import TrainConfig, with_speed_of
from codex_jax.errors import InputError
from codex_jax.records.dataset import Dataset, open_dataset
from codex_jax.runs.folder import check_tokenizer, parse_run, read_config
from codex_jax.text.tokenizers import load_tokenizer

NO_VALIDATION = "none"  # the validation split of a run that is not evaluated
VOCAB_MULTIPLE = 128  # so that the vocabulary divides over a mesh axis and fills the lanes of a TPU


def open_data(config: TrainConfig) -> Dataset:
    """Opens the run's data; InputError if a split is missing or the tokenizer is not the one in the manifest."""
    data = open_dataset(config.data.path)
    data.check(config.data.train_split)
    validation_split, splits = config.data.validation_split, data.manifest["splits"]
    if validation_split != NO_VALIDATION:
        if validation_split not in splits:
            names = ", ".join(splits)
            raise InputError(f"{config.data.path} has no split {validation_split!r} to validate on: it has {names}")
        if not splits[validation_split]["records"]:
            raise InputError(
                f"{config.data.path} has no records in split {validation_split!r} to validate on: build it from more "
                f"repositories, or train without validation: --data.validation-split {NO_VALIDATION}"
            )
    actual, expected = load_tokenizer(str(data.tokenizer_dir)).sha256, data.manifest["tokenizer"]["sha256"]
    if actual != expected:
        raise InputError(
            f"{data.tokenizer_dir} ({actual[:12]}) is not the tokenizer that the records were made with "
            f"({expected[:12]}): build the data set again"
        )
    return data


def resolve(config: TrainConfig, data: Dataset, saved: TrainConfig | None = None) -> TrainConfig:
    """Sets the vocabulary size, or with init_from that run's model and a fraction of its learning rate.

    saved: the settings of the run that is resumed, which has its own already. InputError if the data does not fit.
    """
    tokenizer, length = data.manifest["tokenizer"], data.manifest["seq_len"]
    model, optimizer = config.model, config.optimizer
    if saved and config.init_from:
        model = with_speed_of(saved.model, model)
        if optimizer.init_fraction and optimizer.init_fraction == saved.optimizer.init_fraction:
            optimizer = dataclasses.replace(optimizer, peak_learning_rate=saved.optimizer.peak_learning_rate)
    elif saved and model.vocab_size == 0:
        model = dataclasses.replace(model, vocab_size=saved.model.vocab_size)
    elif config.init_from:
        source, _ = parse_run(config.init_from)
        before = read_config(source)
        model = with_speed_of(before.model, model)
        if optimizer.init_fraction:
            rate = optimizer.init_fraction * before.optimizer.peak_learning_rate
            optimizer = dataclasses.replace(optimizer, peak_learning_rate=rate)
        check_tokenizer(source, tokenizer["sha256"])
    elif model.vocab_size == 0:
        vocab_size = -(-tokenizer["vocab_size"] // VOCAB_MULTIPLE) * VOCAB_MULTIPLE
        model = dataclasses.replace(model, vocab_size=vocab_size)
    if model.vocab_size < tokenizer["vocab_size"]:
        raise InputError(f"--model.vocab-size {model.vocab_size} is below the tokenizer's {tokenizer['vocab_size']}")
    if length > model.context:
        raise InputError(f"records of {length} tokens exceed --model.context {model.context}")
    return dataclasses.replace(config, model=model, optimizer=optimizer)
