from collections import Counter

import pytest

from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.model.geometry import non_embedding_parameters
from codex_jax.model.sizes import SIZES
from codex_jax.planning.chips import CHIPS
from codex_jax.planning.hlo import Costs
from codex_jax.planning.projection import flops_per_token, kernel_efficiency, kernel_seconds

WIDE = ModelConfig(layers=2, width=256, heads=2, context=512, vocab_size=512)


def test_flops_are_six_a_weight_and_the_causal_half_of_attention():
    model = ModelConfig(layers=2, width=64, heads=2, context=32, vocab_size=128)
    products = 2 * 12 * 64 * 64 + 128 * 64
    attention = 2 * (4 * 32 * 64) // 2  # two products of 2 * T * C a token forward, halved
    assert flops_per_token(model, 32) == 6 * products + 3 * attention
    largest = SIZES["12b"][0]
    assert flops_per_token(largest, 2048) == pytest.approx(6 * non_embedding_parameters(largest), rel=0.05)


def test_kernels_run_at_half_the_peak_and_narrow_heads_slower():
    narrow = ModelConfig(layers=2, width=128, heads=2)
    assert kernel_efficiency(WIDE, CHIPS["v5e"]) == 0.5
    assert kernel_efficiency(narrow, CHIPS["v5e"]) == 0.25
    assert kernel_efficiency(WIDE, CHIPS["v6e"]) == 0.25  # its matrix units are 256 wide


@pytest.mark.parametrize(
    ("calls", "products"),
    [
        ({"splash_mha_fwd": 2, "splash_mha_dq": 1, "splash_mha_dkv": 1}, 2 * 2 + 3 + 4),
        ({"splash_mha_fwd": 1, "splash_mha_dkv": 1}, 2 + 5),  # fused: dkv makes dq too
    ],
)
def test_each_kernel_counts_its_products(calls, products):
    chip, config = CHIPS["v5e"], TrainConfig(model=WIDE, batch_size=8)
    seconds = kernel_seconds(Costs(custom_calls=Counter(calls)), config, 512, chip, 4)
    assert seconds == pytest.approx(products * 8 / 4 * 512**2 * 256 / (chip.peak_flops * 0.5))
