import dataclasses
import json

import pytest

from codex_jax.config import DataConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.runs import folder
from codex_jax.text.tokenizers import train_sentencepiece
from tests.records.build import build


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set with its tokenizer of 320 tokens."""
    root = tmp_path_factory.mktemp("folder") / "data"
    tokenizer = train_sentencepiece([f"def function_{n}(x):\n    return x * {n}\n" for n in range(50)], 320)
    build(root, sha256=tokenizer.sha256, vocab_size=320)
    tokenizer.save(root / "tokenizer")
    return open_dataset(root)


def config(path, **model):
    return TrainConfig(run_dir=str(path), model=ModelConfig(vocab_size=384, **model), data=DataConfig(path="d"))


def test_a_new_folder_holds_config_and_tokenizer(data, tmp_path):
    run = config(tmp_path / "runs" / "a")
    folder.prepare(run, data, resume=False)
    assert folder.read_config(tmp_path / "runs" / "a") == run
    assert json.loads((tmp_path / "runs" / "a" / "config.json").read_text())["model"]["vocab_size"] == 384
    tokenizer = folder.read_tokenizer(tmp_path / "runs" / "a", run.model)
    assert tokenizer.sha256 == data.manifest["tokenizer"]["sha256"]
    assert tokenizer.vocab_size == 320


def test_a_run_is_never_overwritten(data, tmp_path):
    folder.prepare(config(tmp_path), data, resume=False)
    with pytest.raises(InputError, match="holds a run already: add --resume"):
        folder.prepare(config(tmp_path, layers=9), data, resume=False)
    assert folder.read_config(tmp_path).model.layers == 4


def test_resuming_allows_other_speed_settings_only(data, tmp_path):
    folder.prepare(config(tmp_path), data, resume=False)
    folder.prepare(config(tmp_path, remat="full", unroll=2), data, resume=True)
    assert folder.read_config(tmp_path).model.remat == "none"  # the settings of the first start stay
    with pytest.raises(InputError, match="was trained with another model"):
        folder.prepare(config(tmp_path, layers=9), data, resume=True)
    with pytest.raises(InputError, match="not a run folder"):
        folder.prepare(config(tmp_path / "other"), data, resume=True)


def test_resuming_with_another_tokenizer_is_refused(data, tmp_path):
    folder.prepare(config(tmp_path), data, resume=False)
    with pytest.raises(InputError, match=r"\(0{12}\) is not the one .* was trained with"):
        folder.check_tokenizer(tmp_path, "0" * 64)


def test_a_folder_that_cannot_be_written_is_reported(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the run folder"):
        folder.prepare(config(tmp_path / "file" / "run"), data, resume=False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "config.json is broken"),
        ("[]", "config.json is broken: not an object"),
        ('{"depth": 3}', "unknown setting 'depth'"),
        ('{"steps": true}', "setting 'steps' must be int, not True"),
        ('{"steps": 1.0}', "setting 'steps' must be int, not 1.0"),
        ('{"steps": null}', "setting 'steps' must be int, not None"),
        ('{"optimizer": {"epsilon": false}}', "setting 'epsilon' must be float, not False"),
        ('{"optimizer": {"offload": 1}}', "setting 'offload' must be bool, not 1"),
        ('{"model": {"remat": "all"}}', "setting 'remat' must be one of full, .*, not 'all'"),
        ('{"model": {"compute_dtype": ["float32"]}}', "setting 'compute_dtype' must be one of float32, bfloat16"),
        ('{"model": 3}', "setting 'model' must be an object"),
    ],
)
def test_a_broken_config_is_reported(tmp_path, text, message):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InputError, match=message):
        folder.read_config(tmp_path)


def test_a_tokenizer_larger_than_the_model_is_refused(data, tmp_path):
    run = config(tmp_path)
    folder.prepare(run, data, resume=False)
    with pytest.raises(InputError, match="has 320 tokens, the model 319"):
        folder.read_tokenizer(tmp_path, dataclasses.replace(run.model, vocab_size=319))


def test_the_newest_checkpoint_is_the_highest_number_that_is_finished(tmp_path):
    with pytest.raises(InputError, match="has no checkpoint"):
        folder.newest_step(tmp_path)
    for name in ("9", "10", "11.orbax-checkpoint-tmp"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    assert folder.newest_step(tmp_path) == 10
