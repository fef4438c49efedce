import dataclasses

import pytest

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.model.geometry import parameters
from codex_jax.model.sizes import SIZES
from codex_jax.planning.memory import estimate, ways

MODEL = dataclasses.replace(SIZES["300m"][0], vocab_size=50_304, compute_dtype="bfloat16", remat="full")
CONFIG = TrainConfig(model=MODEL, batch_size=64)
ONE = {"data": 1, "fsdp": 1, "sequence": 1, "model": 1}


def of(mesh=(), **changes):
    return estimate(dataclasses.replace(CONFIG, **changes), ONE | dict(mesh), 2048)


def test_parameters_and_moments_are_exact_and_split_over_the_mesh():
    count = parameters(MODEL)
    assert (of().parameters, of().moments) == (4 * count, 8 * count)
    split = of({"fsdp": 4, "sequence": 2, "model": 2})
    assert split.parameters == pytest.approx(4 * count / 16, abs=1)
    assert of({"data": 8}).parameters == 4 * count
    assert of(optimizer=OptimizerConfig(first_moment_dtype="bfloat16")).moments == 6 * count
    assert of(optimizer=OptimizerConfig(offload=True)).moments == 0


def test_every_policy_takes_more_than_the_one_before():
    saved = [
        of(model=dataclasses.replace(MODEL, remat=remat)).total
        for remat in ("full", "attention", "qkv", "dots", "dots_attention", "none")
    ]
    assert saved == sorted(set(saved))


@pytest.mark.parametrize("change", [{"accumulation": 2}, {"loss_chunks": 4}])
def test_parts_of_a_batch_take_less(change):
    assert of(**change).total < of().total


def test_attention_without_a_kernel_keeps_its_scores():
    assert estimate(CONFIG, ONE, 2048, kernel=False).total > estimate(CONFIG, ONE, 2048).total


def test_what_minus_one_stands_for():
    assert ways(TrainConfig(mesh=MeshConfig(data=2, model=4)), 64) == {"data": 2, "fsdp": 8, "sequence": 1, "model": 4}


def test_a_demo_sized_run_fits_a_laptop():
    model = ModelConfig(layers=4, width=192, heads=6, context=256, vocab_size=512)
    assert estimate(TrainConfig(model=model, batch_size=16), ONE, 256, kernel=False).total < 2 * 1024**3
