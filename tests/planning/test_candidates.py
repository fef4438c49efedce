import dataclasses

import pytest

from codex_jax.config import ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.model.sizes import SIZES
from codex_jax.planning.candidates import bandwidth, candidates, distinct, guess_seconds, meshes, smallest
from codex_jax.planning.chips import parse_topology
from codex_jax.planning.training_plan import Job

MODEL = dataclasses.replace(SIZES["2.5b"][0], vocab_size=50_304, compute_dtype="bfloat16")
JOB = Job(TrainConfig(model=MODEL, batch_size=64), 2048)
SMALL = ModelConfig(
    layers=2, width=256, heads=2, context=512, vocab_size=512, compute_dtype="bfloat16", gather_dtype="bfloat16"
)
TPU = parse_topology("v5e:2x2")  # 197 TFLOP/s; links of 90 GB/s, half where an axis is no ring, as here


def test_meshes_cover_the_devices_and_divide_the_run():
    found = list(meshes(JOB.config, 2048, 16))
    assert {"data": 1, "fsdp": 16, "sequence": 1, "model": 1} in found
    assert {"data": 2, "fsdp": 2, "sequence": 2, "model": 2} in found
    for mesh in found:
        assert mesh["data"] * mesh["fsdp"] * mesh["sequence"] * mesh["model"] == 16
        assert 64 % (mesh["data"] * mesh["fsdp"]) == 0
        assert 32 % mesh["model"] == 0


def test_meshes_of_a_run_with_two_heads_and_three_sequences():
    config = TrainConfig(model=SMALL, batch_size=3)
    found = [tuple(mesh.values()) for mesh in meshes(config, 512, 4)]
    assert found == [(1, 1, 4, 1), (1, 1, 2, 2)]  # (data, fsdp, sequence, model)


@pytest.mark.parametrize(
    ("topology", "devices", "links"),
    [
        ("v5e:2x2", 1, 1),
        ("v5e:2x2", 2, 0.5),
        ("v5e:2x2", 4, 1),  # two axes, neither a ring
        ("v5e:8x16", 16, 1),  # the ring of 16
        ("v5e:8x16", 32, 1.5),  # and part of the other axis
        ("v5e:16x16", 256, 2),
        ("v3:4x4", 4, 0.5),  # two chips with two cores each
    ],
)
def test_rings_of_neighbours_use_the_longest_axes_first(topology, devices, links):
    tpu = parse_topology(topology)
    assert bandwidth(tpu, devices) == links * tpu.chip.ici_bandwidth


def guess(remat, batch_size=8, optimizer=None, chunks=1, accumulation=1, **mesh):
    config = TrainConfig(
        model=dataclasses.replace(SMALL, remat=remat),
        batch_size=batch_size,
        loss_chunks=chunks,
        accumulation=accumulation,
        optimizer=optimizer or OptimizerConfig(),
    )
    return guess_seconds(config, 512, TPU, {"data": 1, "fsdp": 1, "sequence": 1, "model": 1} | mesh)


# A device has 8 x 512 / 4 = 1,024 tokens. The matrices of both layers are 2 x 12 x 256^2 = 1,572,864 weights.
# Per token: products of 6 x (1,572,864 + 512 x 256) = 10,223,616 FLOPs, at 0.72 of the peak, and attention's products
# of 2 x 512 x 256 = 262,144 FLOPs each, 2 forward and 7 backward, at half of the peak.


def test_a_guess_with_sharded_parameters_worked_by_hand():
    # Attention is computed again: 1,024 x (10,223,616 / 0.72 + 11 x 262,144 / 0.5) / 197e12 = 103.786 us.
    # Weights 2 x 1,572,864 x 3/4 = 2,359,296 bytes: gathered twice, of which 0.4 wait, and reduced whole, as they are
    # split over all devices: (2 x 0.4 + 2) x 2,359,296 / 90e9 = 73.400 us.
    assert guess("dots", fsdp=4) == pytest.approx(177.186e-6, rel=1e-5)


def test_a_guess_with_split_heads_worked_by_hand():
    # 8 x 256^2 weights of each layer are multiplied again, the logits of chunks too, and attention:
    # 1,024 x ((10,223,616 + 2 x 2 x 8 x 256^2 + 2 x 512 x 256) / 0.72 + 11 x 262,144 / 0.5) / 197e12 = 120.818 us.
    # Two copies add up 4 x 1,572,864 / 2 bytes: 2 x 1/2 x 3,145,728 / 45e9 = 69.905 us.
    # Activations 1,024 x 2 x 2 layers x 256 x 2 = 2,097,152 bytes: (4 + 1) x 2 x 2,097,152 x 1/2 / 45e9 = 233.017 us.
    # Moments (4 + 4) x 1,572,864 / 2 bytes over PCIe: 2 x 6,291,456 / 15e9 = 838.861 us.
    offload = OptimizerConfig(offload=True)
    seconds = guess("full", optimizer=offload, chunks=2, accumulation=2, data=2, model=2)
    assert seconds == pytest.approx(1_262.601e-6, rel=1e-5)


def test_a_guess_with_split_sequences_worked_by_hand():
    # 1,024 x (10,223,616 / 0.72 + 9 x 262,144 / 0.5) / 197e12 = 98.336 us.
    # Weights 2 x 1,572,864 / 2 bytes for each of 2 microbatches: 2 x (2 x 0.4 + 0.4) x 1,572,864 / 45e9 = 83.886 us.
    # Two copies add up 4 x 1,572,864 / 2 bytes: 69.905 us.
    # Activations 1,024 x 2 layers x 256 x 2 = 1,048,576 bytes: 2 x 2 x 1,048,576 / 45e9 = 93.207 us.
    assert guess("none", accumulation=2, data=2, sequence=2) == pytest.approx(345.334e-6, rel=1e-5)


def test_policies_are_ordered_by_what_they_compute_again():
    # On one chip with one sequence only the policy differs. Per token and layer, in FLOPs at the peak: attention again
    # 2 x 131,072 / 0.5 = 0.52 M, 5 x 256^2 weights 0.91 M, 8 x 256^2 weights 1.46 M, and both of these 1.98 M.
    found = candidates(Job(TrainConfig(model=SMALL, batch_size=1), 512), "v5e:1x1")
    policies = [one.config.model.remat for one in found]
    assert sorted(policies[:2]) == ["dots_attention", "none"]
    assert policies[2:] == ["dots", "qkv", "attention", "full"]


def test_candidates_leave_room_and_come_fastest_first():
    found = candidates(JOB, "v5e:4x4")
    assert found
    assert all(one.memory.total <= 0.8 * 16 * 1024**3 for one in found)
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    assert not any(one.config.optimizer != JOB.config.optimizer for one in found)
    few = distinct(found, 6)
    assert len({(one.config.mesh, one.config.model.remat) for one in few}) == len(few) == 6
    assert max(sum(one.config.mesh == other.config.mesh for other in few) for one in few) == 2


def test_loss_chunks_are_added_only_until_the_run_fits():
    # Logits of 8 sequences x 2,048 x 50,304 x 6 bytes are 4.6 GiB, of which half is free to take.
    model = dataclasses.replace(SMALL, vocab_size=50_304, context=2048)
    job = Job(TrainConfig(model=model, batch_size=8), 2048)
    chunks = {
        free: {one.config.loss_chunks for one in candidates(job, "v5e:1x1", free) if one.config.accumulation == 1}
        for free in (0.2, 0.8)
    }
    assert 1 in chunks[0.2]
    assert chunks[0.8]
    assert min(chunks[0.8]) == 2


def test_the_optimizer_changes_only_where_it_may():
    tight = Job(dataclasses.replace(JOB.config, model=dataclasses.replace(SIZES["12b"][0], vocab_size=50_304)), 2048)
    assert not candidates(tight, "v5e:4x4")
    found = candidates(tight, "v5e:4x4", change_optimizer=True)
    assert found
    assert all(one.config.optimizer.offload for one in found)


def test_the_smallest_slice_of_each_kind():
    found = smallest(JOB)
    kinds = [parse_topology(one.topology).chip.name for one in found]
    assert kinds == ["v3", "v4", "v5e", "v5p", "v6e"]
    chips = {kind: parse_topology(one.topology).chips for kind, one in zip(kinds, found, strict=True)}
    assert chips["v5p"] <= chips["v4"] <= chips["v5e"] <= 16


@pytest.mark.parametrize("topology", ["v4:2x2x1", "v3:2x2"])
def test_a_run_that_is_too_large_has_none(topology):
    huge = Job(dataclasses.replace(JOB.config, model=dataclasses.replace(MODEL, layers=400)), 2048)
    assert candidates(huge, topology, change_optimizer=True) == []
