import dataclasses
import os
import subprocess
import sys

import pytest

from codex_jax.config import MeshConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.planning import capacity

LARGE = """
from codex_jax.config import ModelConfig, TrainConfig
config = TrainConfig(name="x", batch_size=256, model=ModelConfig(layers=40, width=5120, heads=40))
"""


def test_train_refuses_what_this_machine_cannot_hold(tmp_path):
    (tmp_path / "x.py").write_text(LARGE)
    command = [sys.executable, "-m", "codex_jax.train", str(tmp_path / "x.py"), "--steps", "7"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2, done.stderr
    line = done.stderr.strip()
    assert line.startswith("error: this run needs ")
    assert line.count("\n") == 0
    assert "GiB is there; the smallest slice that does is v" in line
    assert f"python -m codex_jax.plan {tmp_path}/x.py --steps 7 --topology v" in line


def test_a_run_that_fits_is_let_through(monkeypatch):
    monkeypatch.setattr(capacity, "device_bytes", lambda devices: 4 * 1024**3)
    small = TrainConfig(model=ModelConfig(layers=4, width=192, context=256, vocab_size=512), batch_size=16)
    capacity.require(small)
    capacity.require(small, 256)
    large = dataclasses.replace(small, batch_size=4096)
    capacity.require(large)  # before the data is known, only the state counts
    with pytest.raises(InputError, match=r"needs .* and 4\.0 GiB is there"):
        capacity.require(large, 256)


def test_a_machine_that_does_not_say_is_trusted(monkeypatch):
    monkeypatch.setattr(capacity, "device_bytes", lambda devices: None)
    capacity.require(TrainConfig(model=ModelConfig(layers=900, width=5120, heads=40, vocab_size=512)))


def test_a_mesh_for_other_devices_counts_as_the_most_split():
    config = TrainConfig(mesh=MeshConfig(data=2, fsdp=128))
    assert capacity.mesh_for(config, 256)["fsdp"] == 128
    assert capacity.mesh_for(config, 4) == {"data": 1, "fsdp": 4, "sequence": 1, "model": 1}
    assert capacity.mesh_for(TrainConfig(mesh=MeshConfig(data=2)), 1) == dict.fromkeys(capacity.mesh_for(config, 1), 1)


def test_the_machine_says_what_is_left():
    left = capacity.host_bytes()
    assert left is None or 2**20 < left < 2**50
