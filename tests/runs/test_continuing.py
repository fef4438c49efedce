import dataclasses

import pytest

from codex_jax.config import DataConfig, MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.runs.continuing import changed_settings

RUN = TrainConfig(
    run_dir="runs/a", batch_size=4, seed=3, optimizer=OptimizerConfig(peak_learning_rate=1e-3), data=DataConfig("d")
)


def changed(override=(), same_data=False, **settings):
    return changed_settings(RUN, dataclasses.replace(RUN, **settings), override, same_data)


def test_length_machine_and_observation_may_change():
    wanted = {
        "steps": 9,
        "log_every": 1,
        "mesh": MeshConfig(data=2),
        "model": ModelConfig(remat="full", attention="xla"),
        "optimizer": OptimizerConfig(peak_learning_rate=1e-3, offload=True),
        "accumulation": 2,
    }
    assert changed(**wanted) == {
        "steps": [1000, 9],
        "log_every": [10, 1],
        "mesh.data": [1, 2],
        "model.remat": ["none", "full"],
        "model.attention": ["auto", "xla"],
        "optimizer.offload": [False, True],
        "accumulation": [1, 2],
    }
    assert changed(run_dir="runs/moved") == {}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"batch_size": 8}, "--batch-size 4, not 8"),
        ({"seed": 0}, "--seed 3, not 0"),
        ({"optimizer": OptimizerConfig(peak_learning_rate=2e-3)}, "--optimizer.peak-learning-rate 0.001, not 0.002"),
        ({"model": ModelConfig(compute_dtype="bfloat16")}, "--model.compute-dtype 'float32', not 'bfloat16'"),
        ({"data": DataConfig("e")}, "--data.path 'd', not 'e'"),
        ({"data": DataConfig("d", train_split="test")}, "--data.train-split 'train', not 'test'"),
        ({"init_from": "runs/b"}, "--init-from '', not 'runs/b'"),
    ],
)
def test_everything_else_is_refused_by_name(settings, named):
    with pytest.raises(InputError) as refused:
        changed(**settings, steps=9)
    assert named in str(refused.value)
    assert "python -m codex_jax.train --resume runs/a" in str(refused.value)
    assert "--steps" not in str(refused.value)


def test_all_refused_settings_are_named_at_once_and_each_can_be_overridden():
    settings = {"batch_size": 8, "seed": 0, "optimizer": OptimizerConfig(peak_learning_rate=2e-3)}
    with pytest.raises(InputError, match=r"--override optimizer.peak-learning-rate .*--override seed"):
        changed(**settings)
    with pytest.raises(InputError, match=r"was started with --seed 3, not 0: "):
        changed(["batch-size", "--optimizer.peak_learning_rate"], **settings)
    assert changed(["batch_size", "optimizer.peak-learning-rate", "seed"], **settings)["seed"] == [3, 0]


def test_the_same_records_at_another_path_are_the_same_data():
    assert changed(same_data=True, data=DataConfig("e")) == {"data.path": ["d", "e"]}


@pytest.mark.parametrize(("name", "value", "has"), [("width", 96, 192), ("heads", 3, 6), ("window", 8, 0)])
def test_the_model_cannot_be_overridden(name, value, has):
    with pytest.raises(InputError, match=rf"another model: it has --model.{name} {has}, not {value}"):
        changed([f"model.{name}"], model=ModelConfig(**{name: value}))


@pytest.mark.parametrize("name", ["nothing", "optimizer", "optimizer.rate", ""])
def test_an_override_of_no_setting_is_refused(name):
    with pytest.raises(InputError, match="no such setting"):
        changed([name])
