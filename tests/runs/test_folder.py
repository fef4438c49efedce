import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from codex_jax.config import DataConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.runs import folder
from codex_jax.runs.history import read_history
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


def prepare(run, data, resume, override=()):
    """Opens the run folder, begins and closes it."""
    with folder.open_run(run, data, resume, override) as opened:
        opened.begin(0)


def config(path, **model):
    return TrainConfig(run_dir=str(path), model=ModelConfig(vocab_size=384, **model), data=DataConfig(path="d"))


def test_a_new_folder_holds_config_and_tokenizer(data, tmp_path):
    run = config(tmp_path / "runs" / "a")
    prepare(run, data, resume=False)
    assert folder.read_config(tmp_path / "runs" / "a") == run
    assert json.loads((tmp_path / "runs" / "a" / "config.json").read_text())["model"]["vocab_size"] == 384
    tokenizer = folder.read_tokenizer(tmp_path / "runs" / "a", run.model)
    assert tokenizer.sha256 == data.manifest["tokenizer"]["sha256"]
    assert tokenizer.vocab_size == 320


def test_a_run_is_never_overwritten(data, tmp_path):
    prepare(config(tmp_path), data, resume=False)
    with pytest.raises(InputError, match="holds a run already: add --resume"):
        prepare(config(tmp_path, layers=9), data, resume=False)
    assert folder.read_config(tmp_path).model.layers == 4


def test_resuming_allows_other_speed_settings_only(data, tmp_path):
    prepare(config(tmp_path), data, resume=False)
    prepare(config(tmp_path, remat="full", unroll=2), data, resume=True)
    assert folder.read_config(tmp_path).model.remat == "full"  # the next --resume begins with it
    with pytest.raises(InputError, match=r"was trained with another model: it has --model.layers 4, not 9"):
        prepare(config(tmp_path, layers=9), data, resume=True)
    with pytest.raises(InputError, match="not a run folder"):
        prepare(config(tmp_path / "other"), data, resume=True)


def test_the_history_tells_every_start_with_its_changes(data, tmp_path):
    prepare(config(tmp_path), data, resume=False)
    prepare(dataclasses.replace(config(tmp_path), steps=7), data, resume=True)
    first, second = read_history(tmp_path)
    assert (first["event"], first["step"], first["data"]) == ("started", 0, data.digest)
    assert (second["event"], second["changed"]) == ("resumed", {"steps": [1000, 7]})
    assert "changed" not in first


def test_a_refused_change_changes_nothing(data, tmp_path):
    prepare(config(tmp_path), data, resume=False)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    with pytest.raises(InputError, match="--batch-size 32, not 8"):
        prepare(dataclasses.replace(config(tmp_path), batch_size=8, steps=7), data, resume=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_other_records_are_refused_even_at_the_same_path(data, tmp_path):
    prepare(config(tmp_path / "run"), data, resume=False)
    sizes = {"sha256": data.manifest["tokenizer"]["sha256"], "vocab_size": 320}
    for name, settings, records in (("moved", {}, "same"), ("changed", {"first": 3}, "other")):
        copy = build(tmp_path / name, **sizes, **settings)
        shutil.copytree(data.tokenizer_dir, copy / "tokenizer")
        for path in (str(copy), "d"):
            run = dataclasses.replace(config(tmp_path / "run"), data=DataConfig(path=path))
            if records == "same":
                prepare(run, open_dataset(copy), resume=True)
            else:
                with pytest.raises(InputError, match=r"--override data.path|does not hold the records"):
                    prepare(run, open_dataset(copy), resume=True)
                prepare(run, open_dataset(copy), resume=True, override=["data.path"])
                prepare(run, data, resume=True, override=["--data.path"])


def test_a_folder_in_use_is_refused(data, tmp_path):
    with folder.open_run(config(tmp_path), data, resume=False), pytest.raises(InputError, match="in use by another"):
        prepare(config(tmp_path), data, resume=True)
    prepare(config(tmp_path), data, resume=True)


def test_a_run_is_named_with_or_without_a_step(tmp_path):
    (tmp_path / "odd@7").mkdir()
    assert folder.parse_run("runs/a") == (Path("runs/a"), None)
    assert folder.parse_run(Path("runs/a@120")) == (Path("runs/a"), 120)
    assert folder.parse_run("runs/a@best") == (Path("runs/a@best"), None)
    assert folder.parse_run(tmp_path / "odd@7") == (tmp_path / "odd@7", None)
    assert folder.parse_run(f"{tmp_path}/odd@7@5") == (tmp_path / "odd@7", 5)


def test_resuming_with_another_tokenizer_is_refused(data, tmp_path):
    prepare(config(tmp_path), data, resume=False)
    with pytest.raises(InputError, match=r"\(0{12}\) is not the one .* was trained with"):
        folder.check_tokenizer(tmp_path, "0" * 64)


def test_a_folder_that_cannot_be_written_is_reported(data, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot write the run folder"):
        prepare(config(tmp_path / "file" / "run"), data, resume=False)


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
    prepare(run, data, resume=False)
    with pytest.raises(InputError, match="has 320 tokens, the model 319"):
        folder.read_tokenizer(tmp_path, dataclasses.replace(run.model, vocab_size=319))


def test_the_checkpoints_are_the_folders_with_a_number(tmp_path):
    with pytest.raises(InputError, match="has no checkpoint"):
        folder.check_checkpoint(tmp_path)
    for name in ("9", "10", "11.orbax-checkpoint-tmp", "²", "٣٣٣", "0999", "-5", "1e9", "12.damaged", "notes"):
        (tmp_path / "checkpoints" / name).mkdir(parents=True)
    (tmp_path / "checkpoints" / "1000").write_text("a file")
    assert folder.finished_steps(tmp_path) == [9, 10]
    folder.check_checkpoint(tmp_path, 9)
    with pytest.raises(InputError, match="has no checkpoint of step 11: it has 9, 10"):
        folder.check_checkpoint(tmp_path, 11)
