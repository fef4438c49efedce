import dataclasses

import pytest

from codex_jax.config import ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.model.geometry import parameters
from codex_jax.model.sizes import SIZES
from codex_jax.planning.memory import Memory, estimate

MODEL = dataclasses.replace(SIZES["300m"][0], vocab_size=50_304, compute_dtype="bfloat16", remat="full")
CONFIG = TrainConfig(model=MODEL, batch_size=64)
ONE = {"data": 1, "fsdp": 1, "sequence": 1, "model": 1}
SMALL = ModelConfig(layers=2, width=256, heads=2, context=512, vocab_size=512, compute_dtype="bfloat16")


def memory_of(mesh=(), **changes):
    return estimate(dataclasses.replace(CONFIG, **changes), ONE | dict(mesh), 2048)


def test_an_estimate_worked_by_hand_on_four_devices():
    model = dataclasses.replace(SMALL, gather_dtype="bfloat16", remat="dots")
    # Parameters: 2 layers x (12 x 256^2 + 13 x 256) + 2 x 256 + (512 + 512) x 256 = 1,842,176, split over 4 devices.
    # A device holds 8 / 2 microbatches / 2 = 2 sequences = 1,024 tokens; 1,024 x 256 bfloat16 values are 524,288 bytes.
    # Matrices of one layer: 12 x 256^2 / 2 = 393,216 weights on each side of the model axis.
    assert estimate(
        TrainConfig(model=model, batch_size=8, accumulation=2), ONE | {"fsdp": 2, "model": 2}, 512
    ) == Memory(
        parameters=1_842_176,  # 4 bytes each
        moments=3_684_352,  # twice that
        gradients=3_684_352,  # of one microbatch, and their sum
        saved=5_767_168,  # 2 layers x 524,288 x ((3 + 4) / 2 + 2)
        table=393_216,  # 512 x 256 / 2 x (2 + 4) bytes
        working=16_777_216,  # 524,288 x ((8 + 16) / 2 + 14) + 393,216 x (3 x 2 + 2) bytes; the logits are smaller
    )


def test_an_estimate_worked_by_hand_on_one_device_without_a_kernel():
    model = dataclasses.replace(SMALL, heads=4, remat="none")
    config = TrainConfig(model=model, batch_size=2, optimizer=OptimizerConfig(offload=True))
    # Again 1,024 tokens. Heads of 64 are padded to 128 and exist twice: 4 times as large.
    # Scores: 12 bytes x 1,024 tokens x 512 keys x 4 heads = 25,165,824.
    memory = estimate(config, ONE, 512, fused=False)
    assert memory == Memory(
        parameters=7_368_704,
        moments=0,  # in the host's memory
        gradients=7_368_704,
        saved=108_003_328,  # 2 layers x (524,288 x (4 x 4 + 21 + 18) + 25,165,824)
        table=1_310_720,  # 512 x 256 x (4 gathered + 2 converted + 4)
        working=62_390_272,  # 524,288 x (4 x 8 + 16 + 14) + 25,165,824 + 786,432 x (2 + 4)
    )
    assert memory.total == 186_441_728
    unpadded = estimate(config, ONE, 512, fused=False, padded=False)
    assert memory.saved - unpadded.saved == 2 * 524_288 * 3 * 4


def test_large_logits_are_the_most_that_is_computed_at_once():
    model = dataclasses.replace(SMALL, gather_dtype="bfloat16", vocab_size=50_304)
    # 1,024 tokens in 2 chunks x 50,304 logits x (4 + 2) bytes
    assert estimate(TrainConfig(model=model, batch_size=2, loss_chunks=2), ONE, 512).working == 154_533_888


def test_parameters_and_moments_are_split_over_the_mesh():
    count = parameters(MODEL)
    assert (memory_of().parameters, memory_of().moments) == (4 * count, 8 * count)
    split = memory_of({"fsdp": 4, "sequence": 2, "model": 2})
    assert split.parameters == pytest.approx(4 * count / 16, abs=1)
    assert memory_of({"data": 8}).parameters == 4 * count
    assert memory_of(optimizer=OptimizerConfig(first_moment_dtype="bfloat16")).moments == 6 * count


def test_split_sequences_and_copies_hold_fewer_tokens():
    whole, halves = memory_of().saved, {memory_of({axis: 2}).saved for axis in ("data", "fsdp", "sequence")}
    assert halves == {whole / 2}


def test_every_policy_takes_more_than_the_one_before():
    saved = [
        memory_of(model=dataclasses.replace(MODEL, remat=remat)).total
        for remat in ("full", "attention", "qkv", "dots", "dots_attention", "none")
    ]
    assert saved == sorted(set(saved))
