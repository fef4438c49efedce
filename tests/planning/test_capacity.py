import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from codex_jax.config import MeshConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.planning import capacity

LARGE = """
from codex_jax.config import ModelConfig, TrainConfig
config = TrainConfig(name="x", batch_size=256, model=ModelConfig(layers=40, width=5120, heads=40))
"""
SMALL = TrainConfig(model=ModelConfig(layers=2, width=256, heads=4, context=512, vocab_size=512), batch_size=2)


def test_train_refuses_what_this_machine_cannot_hold(tmp_path):
    (tmp_path / "x.py").write_text(LARGE)
    command = [sys.executable, "-m", "codex_jax.train", str(tmp_path / "x.py"), "--steps", "7"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip()
    assert line.startswith("error: this run needs at least ")
    assert line.count("\n") == 0
    assert "is available; the smallest TPU slice that can hold it is v" in line
    assert f"python -m codex_jax.plan {tmp_path}/x.py --steps 7 --topology v" in line


def refused(monkeypatch, available, length):
    monkeypatch.setattr(capacity, "device_bytes", lambda devices: available)
    monkeypatch.setattr(capacity.jax, "device_count", lambda: 1)
    try:
        capacity.require(SMALL, length)
    except InputError:
        return True
    return False


def test_the_bound_is_065_of_the_estimate(monkeypatch):
    # On one CPU, in float32 and without a fused kernel. 1,842,176 parameters (see test_memory.py); 2 x 512 tokens of
    # width 256 are 1,048,576 bytes; scores 12 x 1,024 x 512 x 4 heads = 25,165,824.
    # Parameters 7,368,704, moments 14,737,408, gradients 7,368,704, saved 2 x ((4 + 21 + 18) x 1,048,576 + scores) =
    # 140,509,184, embedding 512 x 256 x 8 = 1,048,576, a layer 38 x 1,048,576 + scores + 786,432 x 8 = 71,303,168.
    # In all 242,335,744, of which 0.65 are 157,518,233.6.
    assert refused(monkeypatch, 157_518_233, 512)
    assert not refused(monkeypatch, 157_518_234, 512)


@pytest.mark.parametrize(
    ("available", "advice"),
    [
        # 157,518,234 bytes are needed; of the saved activations and the layer, one microbatch needs half.
        (157_000_000, "it may fit with --accumulation 2, which"),
        (60_000_000, "it may fit with --model.remat full --accumulation 2, which"),
        (20_000_000, "the smallest TPU slice that can hold it is "),
    ],
)
def test_the_refusal_says_how_the_run_fits_this_machine(monkeypatch, available, advice):
    monkeypatch.setattr(capacity, "device_bytes", lambda devices: available)
    monkeypatch.setattr(capacity.jax, "device_count", lambda: 1)
    with pytest.raises(InputError) as refusal:
        capacity.require(SMALL, 512)
    assert f"is available; {advice}" in str(refusal.value)


def test_before_the_data_is_known_only_the_state_counts(monkeypatch):
    state = 7_368_704 + 14_737_408 + 7_368_704
    assert refused(monkeypatch, state - 1, 0)
    assert not refused(monkeypatch, state, 0)


def test_a_machine_of_unknown_memory_is_trusted(monkeypatch):
    monkeypatch.setattr(capacity, "device_bytes", lambda devices: None)
    capacity.require(TrainConfig(model=ModelConfig(layers=900, width=5120, heads=40, vocab_size=512)))


def test_a_mesh_for_another_number_of_devices_is_replaced_by_the_most_split_one():
    config = TrainConfig(mesh=MeshConfig(data=2, fsdp=128))
    assert capacity.mesh_for(config, 256) == {"data": 2, "fsdp": 128, "sequence": 1, "model": 1}
    assert capacity.mesh_for(TrainConfig(mesh=MeshConfig(data=2, model=4)), 64)["fsdp"] == 8
    assert capacity.mesh_for(config, 4) == {"data": 1, "fsdp": 4, "sequence": 1, "model": 1}
    assert capacity.mesh_for(TrainConfig(mesh=MeshConfig(data=2)), 1) == dict.fromkeys(capacity.mesh_for(config, 1), 1)


MEMINFO = "MemTotal:       9000 kB\nMemAvailable:    1000 kB\n"
GROUP = {
    "/proc/meminfo": MEMINFO,
    "/sys/fs/cgroup/memory.max": "900000\n",
    "/sys/fs/cgroup/memory.current": "500000\n",
    "/sys/fs/cgroup/memory.stat": "anon 7\nactive_file 1000\ninactive_file 2000\n",
}


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, None),
        ({"/proc/meminfo": MEMINFO}, 1_024_000),
        (GROUP, 403_000),  # 900,000 - 500,000 and 3,000 of cached files
        (GROUP | {"/sys/fs/cgroup/memory.max": "max\n"}, 1_024_000),
        (GROUP | {"/sys/fs/cgroup/memory.max": "9000000\n"}, 1_024_000),
    ],
)
def test_free_memory_is_the_least_of_the_machines_and_the_control_groups(monkeypatch, files, free):
    monkeypatch.setattr(capacity, "_read", lambda path: files.get(path, ""))
    assert capacity.host_bytes() == free
    cpus = [SimpleNamespace(platform="cpu")] * 2
    assert capacity.device_bytes(cpus) == (free // 2 if free else None)


@pytest.mark.parametrize(("stats", "size"), [({"bytes_limit": 5}, 5), ({}, None), (None, None)])
def test_an_accelerator_has_its_own_memory(stats, size):
    assert capacity.device_bytes([SimpleNamespace(platform="gpu", memory_stats=lambda: stats)]) == size
