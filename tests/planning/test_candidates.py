import dataclasses

import pytest

from codex_jax.config import MeshConfig, OptimizerConfig, TrainConfig
from codex_jax.model.sizes import SIZES
from codex_jax.planning.candidates import candidates, changes, distinct, meshes, smallest
from codex_jax.planning.chips import chips_of, parse_topology
from codex_jax.planning.compiling import Job

MODEL = dataclasses.replace(SIZES["2.5b"][0], vocab_size=50_304, compute_dtype="bfloat16")
JOB = Job(TrainConfig(model=MODEL, batch_size=64), 2048)


def test_meshes_cover_the_devices_and_divide_the_run():
    found = list(meshes(JOB.config, 2048, 16))
    assert {"data": 1, "fsdp": 16, "sequence": 1, "model": 1} in found
    assert {"data": 2, "fsdp": 2, "sequence": 2, "model": 2} in found
    for mesh in found:
        assert mesh["data"] * mesh["fsdp"] * mesh["sequence"] * mesh["model"] == 16
        assert 64 % (mesh["data"] * mesh["fsdp"]) == 0
        assert 32 % mesh["model"] == 0


def test_candidates_leave_room_and_come_fastest_first():
    found = candidates(JOB, "v5e:4x4")
    assert found
    assert all(one.memory.total <= 0.8 * 16 * 1024**3 for one in found)
    assert [one.seconds for one in found] == sorted(one.seconds for one in found)
    assert not any(one.config.optimizer != JOB.config.optimizer for one in found)
    few = distinct(found, 6)
    assert len({(one.config.mesh, one.config.model.remat) for one in few}) == len(few) == 6


def test_the_optimizer_changes_only_where_it_may():
    tight = Job(dataclasses.replace(JOB.config, model=dataclasses.replace(SIZES["12b"][0], vocab_size=50_304)), 2048)
    assert not candidates(tight, "v5e:4x4")
    found = candidates(tight, "v5e:4x4", optimizer=True)
    assert found
    assert all(one.config.optimizer.offload for one in found)


def test_the_smallest_slice_of_each_kind():
    found = smallest(JOB)
    assert {parse_topology(one.topology)[0].name for one in found} == {"v3", "v4", "v5e", "v5p", "v6e"}
    chips = {parse_topology(one.topology)[0].name: chips_of(one.topology) for one in found}
    assert chips["v5p"] <= chips["v4"] <= chips["v5e"] <= 16


def test_changes_are_flags():
    base = TrainConfig()
    assert changes(base, base) == []
    wanted = dataclasses.replace(
        base, accumulation=4, mesh=MeshConfig(data=2), optimizer=OptimizerConfig(offload=True, clip_norm=0.5)
    )
    flags = ["--optimizer.clip-norm", "0.5", "--optimizer.offload", "--mesh.data", "2", "--accumulation", "4"]
    assert sorted(changes(base, wanted)) == sorted(flags)
    off = changes(TrainConfig(optimizer=OptimizerConfig(offload=True)), base)
    assert off == ["--optimizer.no-offload"]


@pytest.mark.parametrize("topology", ["v4:2x2x1", "v3:2x2"])
def test_a_run_that_is_too_large_has_none(topology):
    huge = Job(dataclasses.replace(JOB.config, model=dataclasses.replace(MODEL, layers=400)), 2048)
    assert candidates(huge, topology, optimizer=True) == []
