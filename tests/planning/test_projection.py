from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.model import kernels
from codex_jax.model.geometry import non_embedding_parameters
from codex_jax.model.sizes import SIZES
from codex_jax.planning.chips import CHIPS, parse_topology
from codex_jax.planning.hlo import Collective, Costs
from codex_jax.planning.projection import (
    communication_seconds,
    flops_per_token,
    kernel_efficiency,
    kernel_seconds,
    project_training,
)
from tests.planning.fake_mesh import FakeMesh

MODEL = ModelConfig(layers=2, width=256, heads=2, context=512, vocab_size=512)
CONFIG = TrainConfig(model=MODEL, batch_size=8)
TPU = parse_topology("v5e:2x2")  # 197 TFLOP/s, 1.5 GHz; 2 neighbours share 90 / 2 GB/s, as no axis closes to a ring
# Products in all: 2 x 2 in fwd, 3 in dq, 4 in dkv = 11, each of 8 / 4 sequences x 512^2 x 256 FLOPs, at half the peak:
# 11 x 134,217,728 / 98.5e12 = 14.98878 us.
KERNELS = Counter({"splash_mha_fwd": 2, "splash_mha_dq": 1, "splash_mha_dkv": 1})
KERNEL_SECONDS = 14.98878e-6


def costs(asynchronous_runs):
    return Costs(
        cycles=150_000.0,  # 100 us
        custom_calls=KERNELS,
        collectives=[
            Collective("all-reduce", 45_000, (0, 1), blocking=True, times=2),  # 2 us
            Collective("all-gather", 45_000, (0, 1), blocking=False, times=asynchronous_runs),  # 1 us each
        ],
    )


def test_a_step_bound_by_compute_worked_by_hand():
    step = project_training(costs(5), CONFIG, 512, TPU, FakeMesh(4), host_bytes=15_000)
    assert step.compute_seconds == pytest.approx(114.98878e-6)
    assert step.kernel_seconds == pytest.approx(KERNEL_SECONDS)
    assert step.waiting_seconds == pytest.approx(2e-6)
    assert step.asynchronous_seconds == pytest.approx(5e-6)
    assert step.host_seconds == pytest.approx(2e-6)  # 15,000 bytes each way at 15 GB/s
    # max(114.98878, 5) + 2 + 2
    assert step.step_seconds == pytest.approx(118.98878e-6)
    # Per token 6 x (2 x 12 x 256^2 + 512 x 256) + 6 x 2 x 512 x 256 = 11,796,480 FLOPs, and 1,024 tokens per chip:
    # 12,079,595,520 / 118.98878e-6 / 197e12
    assert step.mfu == pytest.approx(0.5153239, rel=1e-5)
    # Kernels at 0.2 of the peak take 2.5 times as long: 100 + 37.47195 + 4 us.
    assert step.mfu_slow_kernels == pytest.approx(0.4334269, rel=1e-5)
    assert step.tokens_per_second == pytest.approx(4_096 / 118.98878e-6)
    assert step.days_for_100b_tokens == pytest.approx(100e9 * 118.98878e-6 / 4_096 / 86_400)
    assert step.collective_bytes["all-reduce"] == 90_000
    assert (step.cycles, step.kernels) == (150_000, dict(KERNELS))


def test_a_step_bound_by_asynchronous_communication():
    step = project_training(costs(200), CONFIG, 512, TPU, FakeMesh(4), host_bytes=0)
    assert step.step_seconds == pytest.approx(202e-6)  # max(114.98878, 200) + 2
    assert step.mfu == pytest.approx(0.3035541, rel=1e-5)  # 12,079,595,520 / 202e-6 / 197e12
    assert step.mfu_slow_kernels == step.mfu


def test_flops_are_six_per_weight_and_the_causal_half_of_attention():
    model = ModelConfig(layers=2, width=64, heads=2, context=32, vocab_size=128)
    products = 2 * 12 * 64 * 64 + 128 * 64
    attention = 2 * (4 * 32 * 64) // 2  # two products of 2 x 32 x 64 per layer and token forward, halved
    assert flops_per_token(model, 32) == 6 * products + 3 * attention
    largest = SIZES["12b"][0]
    assert flops_per_token(largest, 2048) == pytest.approx(6 * non_embedding_parameters(largest), rel=0.05)


def test_kernels_run_at_half_the_peak_and_slower_with_narrow_heads():
    narrow = ModelConfig(layers=2, width=128, heads=2)
    assert kernel_efficiency(MODEL, CHIPS["v5e"]) == 0.5
    assert kernel_efficiency(narrow, CHIPS["v5e"]) == 0.25
    assert kernel_efficiency(MODEL, CHIPS["v6e"]) == 0.25  # its matrix units are 256 wide


@pytest.mark.parametrize(
    ("calls", "products"),
    [
        (KERNELS, 11),
        ({"splash_mha_fwd": 1, "splash_mha_dkv": 1}, 2 + 5),  # a fused backward kernel computes dq too
        ({"another": 3}, 3 * 2),
    ],
)
def test_each_kernel_counts_its_products(calls, products):
    seconds = kernel_seconds(calls, TrainConfig(model=MODEL, batch_size=16, accumulation=2), 512, TPU)
    assert seconds == pytest.approx(products * 134_217_728 / 98.5e12)


def test_each_group_communicates_over_its_own_links():
    # All 4 chips span both axes at half of 90 GB/s each; 2 neighbours span one.
    collectives = [
        Collective("all-reduce", 90e3, (0, 1, 2, 3), blocking=True, times=1),
        Collective("all-reduce", 90e3, (0, 2), blocking=True, times=1),
    ]
    assert communication_seconds(collectives, TPU, FakeMesh(4)) == (pytest.approx(3e-6), 0)


def test_splash_kernels_have_the_names_that_are_looked_for(monkeypatch):
    monkeypatch.setattr(kernels, "platform", lambda: "tpu")

    def loss(q, k, v):
        return kernels.splash(q, k, v, jnp.zeros((1, 256), jnp.int32), scale=1.0, window=0).sum()

    qkv = [jax.ShapeDtypeStruct((1, 256, 1, 128), jnp.float32)] * 3
    lowered = jax.jit(jax.grad(loss, (0, 1, 2))).trace(*qkv).lower(lowering_platforms=("tpu",))
    text = lowered.as_text(debug_info=True)
    for name in (kernels.SPLASH_FORWARD, kernels.SPLASH_DQ, kernels.SPLASH_DKV):
        assert f"splash_mha_{name}" in text
