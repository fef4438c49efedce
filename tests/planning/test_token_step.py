from collections import Counter

import jax
import jax.numpy as jnp
import pytest

from codex_jax.config import ModelConfig
from codex_jax.planning.chips import CHIPS, parse_topology
from codex_jax.planning.hlo import Collective, Costs
from codex_jax.planning.token_step import (
    human_eval_seconds,
    largest_batch,
    prefill_flops,
    program_seconds,
    project_prefill,
    project_step,
    step_flops,
    trip_count,
)
from tests.planning.fake_mesh import FakeMesh

MODEL = ModelConfig(layers=2, width=256, heads=2, context=512, vocab_size=512)
CHIP, TPU = CHIPS["v5e"], parse_topology("v5e:2x2")  # 197 TFLOP/s, 819 GB/s, 1.5 GHz, 45 GB/s between 2 neighbours


def test_flops_count_weights_twice_and_what_attention_looks_at():
    weights = 2 * 12 * 256**2 + 512 * 256
    assert step_flops(MODEL, 96, 0) == 2 * 96 * weights
    assert step_flops(MODEL, 96, 640) - step_flops(MODEL, 96, 0) == 96 * 2 * 640 * 4 * 256
    # The causal half of 4 x 320 x width for each token and layer, and no logits.
    assert prefill_flops(MODEL, 4, 320) == 4 * 320 * 2 * (2 * 12 * 256**2 + 2 * 320 * 256)


def test_the_largest_batch_fills_what_is_usable():
    # 100 rows take 40 of 100 bytes, 20 of them in proportion: the 77 beside the fixed 20 hold 385 rows.
    assert largest_batch(100, 40, 100, 20) == 385
    assert largest_batch(100, 140, 100, 40) == 0
    assert largest_batch(100, 140, 100, 100) == 57


def test_a_program_takes_its_longest_measure_and_then_what_blocks():
    sent = [
        Collective("all-reduce", 90e6, (0, 1), blocking=True, times=1),
        Collective("all-gather", 45e6, (0, 1), blocking=False, times=2),
    ]
    costs = Costs(cycles=CHIP.clock * 0.004, collectives=sent)
    seconds = program_seconds(costs, TPU, FakeMesh(2), CHIP.hbm_bandwidth * 0.003, CHIP.peak_flops * 0.002)
    assert seconds == pytest.approx(
        {
            "cycle_seconds": 0.004,
            "read_seconds": 0.003,
            "flop_seconds": 0.002,
            "asynchronous_seconds": 0.002,
            "waiting_seconds": 0.002,
            "seconds": 0.006,
        }
    )


def test_a_step_worked_by_hand():
    # The program draws 64 tokens: 3,000 cycles (2 us) and 22,500 bytes sent (0.5 us) for each.
    costs = Costs(cycles=64 * 3_000.0, collectives=[Collective("all-reduce", 22_500, (0, 1), blocking=True, times=64)])
    step = project_step(costs, MODEL, TPU, FakeMesh(2), batch=10, positions=100, read_bytes=819_000)
    assert step.read_seconds == pytest.approx(1e-6)
    # 10 rows x 2 x (2 x 12 x 256^2 + 512 x 256 + 2 x 2 x 256 x 100) / 2 devices
    assert step.flops == pytest.approx(18_063_360)
    assert step.flop_seconds == pytest.approx(18_063_360 / 197e12)
    assert step.seconds == pytest.approx(2.5e-6)
    assert step.tokens_per_second == pytest.approx(4e6)
    assert step.tokens_per_second_slow == pytest.approx(10 / 3.5e-6)
    assert (step.read_bytes, step.cycles, step.collective_bytes["all-reduce"]) == (819_000, 3_000, 22_500)


def test_figures_of_a_chip_with_two_cores_count_both():
    chip = CHIPS["v3"]
    costs = Costs(cycles=64 * chip.clock * 0.001)
    step = project_step(costs, MODEL, parse_topology("v3:2x2"), FakeMesh(2), 10, 100, read_bytes=900_000)
    assert (step.read_bytes, step.flops) == (1_800_000, 2 * 18_063_360)
    assert step.read_seconds == pytest.approx(2e-6)  # each core has half of 900 GB/s
    assert step.flop_seconds == pytest.approx(18_063_360 / 61.5e12)


def test_a_prefill_worked_by_hand():
    costs = Costs(custom_calls=Counter({"splash_mha_fwd": 2}))
    seconds = project_prefill(costs, MODEL, TPU, FakeMesh(2), positions=64, weight_bytes=819)
    # 2 prompts x 64 x 2 layers x 2 x (12 x 256^2 + 256 x 64) / 2 devices = 205,520,896 FLOPs at the peak, and in
    # kernels 2 x 2 x 64^2 x 256 = 4,194,304 at half of it: 1.0432533 + 0.0425818 us.
    assert seconds == pytest.approx(1.0858351e-6, rel=1e-6)
    split = project_prefill(costs, MODEL, TPU, FakeMesh(2, data=1, model=2), positions=64, weight_bytes=819)
    assert split == pytest.approx(0.5429175e-6, rel=1e-6)


def test_human_eval_is_its_tokens_and_its_prompts():
    # 164 x 200 x 150 tokens, and 41 prompts on each of 4 copies
    assert human_eval_seconds(4_920.0, 0.5, 4) == pytest.approx(1000 + 41 * 0.5)


def test_loops_of_the_sampler_run_a_known_number_of_times():
    assert trip_count("jit(advance)/while") == 64
    assert trip_count("jit(advance)/while/body/cutoff/while") == 11
    assert trip_count("jit(advance)/while/body/while") is None


def test_of_a_condition_the_branch_of_false_is_counted():
    # Attention reads a block of slots in it: see attend_cached.
    def step(kept, x):
        return jax.lax.cond(kept, lambda x: x, lambda x: jnp.tanh(x @ x), x)

    text = jax.jit(step).lower(True, jnp.ones((64, 64))).compile().as_text()
    first = text.split("branch_computations={")[1].split(",")[0].strip("%")
    body = text.split(f"\n%{first} ")[1].split("\n}")[0]
    assert "dot" in body or "tanh" in body
