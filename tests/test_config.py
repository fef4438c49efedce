"""Settings: how they differ, and which cannot train."""

import math

import pytest

from codex_jax.config import (
    DataConfig,
    GuardsConfig,
    MeshConfig,
    ModelConfig,
    OptimizerConfig,
    TrainConfig,
    differences,
    validate,
)
from codex_jax.errors import InputError

RUN = TrainConfig(mesh=MeshConfig(data=2), optimizer=OptimizerConfig(clip_norm=2.0))
CHANGED = TrainConfig(
    accumulation=4,
    mesh=MeshConfig(data=2, fsdp=8),
    optimizer=OptimizerConfig(offload=True, clip_norm=0.5),
    model=ModelConfig(remat="dots"),
)


def test_only_settings_that_differ_are_listed_under_their_paths():
    assert differences(RUN, RUN) == {}
    assert differences(RUN, CHANGED) == {
        "model.remat": "dots",
        "optimizer.offload": True,
        "optimizer.clip_norm": 0.5,
        "mesh.fsdp": 8,
        "accumulation": 4,
    }


@pytest.mark.parametrize(
    "settings",
    [
        {"peak_learning_rate": math.nan},
        {"peak_learning_rate": math.inf},
        {"peak_learning_rate": 0.0},
        {"peak_learning_rate": -1e-3},
        {"clip_norm": 0.0},
        {"clip_norm": math.nan},
        {"beta1": 1.0},
        {"beta2": 2.0},
        {"beta2": -0.1},
        {"warmup_steps": -1},
        {"epsilon": 0.0},
        {"weight_decay": -0.1},
        {"weight_decay": math.nan},
        {"final_fraction": 2.0},
        {"final_fraction": math.nan},
    ],
    ids=str,
)
def test_an_optimizer_that_cannot_train_is_refused_by_its_flag(settings):
    ((name, value),) = settings.items()
    with pytest.raises(InputError, match=f"^--optimizer.{name.replace('_', '-')} must be .*, not {value}$"):
        validate(TrainConfig(data=DataConfig("d"), optimizer=OptimizerConfig(**settings)))


@pytest.mark.parametrize(
    ("settings", "flag"),
    [
        ({"seed": -1}, "--seed"),
        ({"seed": 2**32}, "--seed"),
        ({"steps": 0}, "--steps"),
        ({"keep_checkpoints": 0}, "--keep-checkpoints"),
        ({"keep_every": -1}, "--keep-every"),
        ({"eval_every": -1}, "--eval-every"),
        ({"eval_batches": -5}, "--eval-batches"),
        ({"guards": GuardsConfig(skipped_updates=0)}, "--guards.skipped-updates"),
        ({"guards": GuardsConfig(spike_deviations=math.nan)}, "--guards.spike-deviations"),
    ],
    ids=str,
)
def test_numbers_out_of_range_are_refused_by_their_flag(settings, flag):
    with pytest.raises(InputError, match=f"^{flag} must be "):
        validate(TrainConfig(data=DataConfig("d"), **settings))


def test_the_defaults_can_train():
    validate(TrainConfig(data=DataConfig("d"), seed=2**32 - 1, optimizer=OptimizerConfig(beta1=0.0, warmup_steps=0)))
