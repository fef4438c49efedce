"""The data of a run: splits, tokenizer, mixtures, prefetch."""

import json
import shutil
from dataclasses import replace

import pytest

from codex_jax import cli, train
from codex_jax.config import DataConfig, OptimizerConfig, TrainConfig, validate
from codex_jax.errors import InputError
from codex_jax.runs.folder import write_config
from codex_jax.text.tokenizers import train_sentencepiece
from codex_jax.training import experiment, trainer
from tests.records.build import build
from tests.test_train import untimed

FLAGS = ["--model.layers", "1", "--model.width", "16", "--model.heads", "2", "--model.context", "16"]
FLAGS += ["--steps", "4", "--batch-size", "4", "--log-every", "1", "--checkpoint-every", "2"]
FLAGS += ["--data.validation-split", "none"]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("training")
    tokenizer = train_sentencepiece([f"def function_{n}(x):\n    return x * {n}\n" for n in range(50)], 320)
    for name, settings in (
        ("a", {}),
        ("b", {"first": 100}),
        ("other", {"sha256": "0" * 64}),
        ("none", {"counts": (0,)}),
    ):
        build(root / name, masked=False, **{"sha256": tokenizer.sha256, "vocab_size": tokenizer.vocab_size, **settings})
        tokenizer.save(root / name / "tokenizer")
    (root / "x.py").write_text("from codex_jax.config import TrainConfig\nconfig = TrainConfig(name='x')\n")
    return root


def run(root, name, data, *flags):
    assert (
        cli.run_experiment(
            train.main,
            train.TrainArgs,
            [f"{root}/x.py", "--run-dir", f"{root}/{name}", "--data.path", data, *FLAGS, *flags],
        )
        == 0
    )
    return [untimed(json.loads(line)) for line in (root / name / "metrics.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_a_mixture_resumes_exactly_with_or_without_prefetch(root, monkeypatch):
    data = f"{root}/a@2,{root}/b@1"
    validation = ("--data.validation-split", "train", "--eval-batches", "2")
    whole = run(root, "whole", data, *validation)
    assert {row["step"] for row in whole} == {0, 1, 2, 3, 4}
    # As after a kill between steps 2 and 4.
    shutil.copytree(root / "whole", root / "killed")
    shutil.rmtree(root / "killed" / "checkpoints" / "4")
    monkeypatch.setattr(trainer, "prefetch", lambda items, place: (place(item) for item in items))
    assert run(root, "killed", data, *validation, "--resume") == whole


@pytest.mark.parametrize(
    ("path", "split", "message"),
    [
        ("a", "empty", "no records in split 'empty' to validate on: .* --data.validation-split none"),
        ("other", "none", "is not the tokenizer that the records were made with"),
        ("none", "none", "no records in split 'train'"),
        ("a", "other", "no split 'other' to validate on: it has train, empty"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(root, path, split, message):
    with pytest.raises(InputError, match=message):
        experiment.open_data(TrainConfig(data=DataConfig(path=f"{root}/{path}", validation_split=split)))


def test_a_missing_tokenizer_folder_is_reported(tmp_path):
    build(tmp_path / "d")
    with pytest.raises(InputError, match="no tokenizer at"):
        experiment.open_data(TrainConfig(data=DataConfig(path=f"{tmp_path}/d", validation_split="none")))


def test_a_fraction_of_the_learning_rate_of_the_first_run(root):
    data = open_data(root)
    before = TrainConfig(run_dir=f"{root}/first", optimizer=OptimizerConfig(peak_learning_rate=4e-3))
    write_run(root, before)
    tuned = replace(before, init_from=f"{root}/first", optimizer=OptimizerConfig(init_fraction=0.1))
    resolved = experiment.resolve(tuned, data)
    assert resolved.optimizer == OptimizerConfig(peak_learning_rate=4e-4, init_fraction=0.1)
    # A resumed run keeps its rate, whatever has become of the first run.
    shutil.rmtree(root / "first")
    assert experiment.resolve(tuned, data, resolved) == resolved
    with pytest.raises(InputError, match="give --init-from RUN"):
        validate(replace(tuned, init_from="", data=DataConfig(path="x")))


def open_data(root):
    return experiment.open_data(TrainConfig(data=DataConfig(path=f"{root}/a", validation_split="none")))


def write_run(root, config):
    shutil.copytree(root / "a" / "tokenizer", config.folder / "tokenizer")
    model = replace(config.model, context=16, vocab_size=384)
    write_config(config.folder, replace(config, model=model))
