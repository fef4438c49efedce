"""The step on one device and on eight simulated ones; in processes of their own, as the count is fixed at start."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

PROGRAM = """
import json, sys
import jax, numpy as np
from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig
from codex_jax.model.gpt import GPT
from codex_jax.parallel.mesh import make_mesh
from codex_jax.training.optimizer import make_optimizer
from codex_jax.training.state import init_state
from codex_jax.training.step import make_train_step, on_mesh, to_global

mesh, accumulation = json.loads(sys.argv[1])
mesh = make_mesh(MeshConfig(**mesh))
model = GPT(ModelConfig(layers=2, width=64, heads=4, context=32, vocab_size=128))
optimizer = make_optimizer(OptimizerConfig(peak_learning_rate=1e-2, warmup_steps=2), 6)
rng = np.random.default_rng(0)
losses, norms = [], []
with on_mesh(mesh):
    state = init_state(model, optimizer, mesh, 0)
    step = make_train_step(model, optimizer, mesh, 0, accumulation)
    for _ in range(6):
        batch = {"tokens": rng.integers(0, 20, (16, 33)).astype(np.int32),
                 "loss_mask": (rng.random((16, 33)) < 0.5).astype(np.uint8)}
        batch = to_global(mesh, batch)
        text = step.lower(state, batch).as_text() if not losses else text
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"])); norms.append(float(metrics["gradient_norm"]))
up = state.params["blocks"]["up"]["kernel"]
constraints = [line for line in text.splitlines() if "sharding_constraint" in line and "32x64xf32" in line]
shapes = {"shard": up.addressable_shards[0].data.shape, "shape": up.shape}
print(json.dumps({"constraints": constraints, "losses": losses, "norms": norms, **shapes}))
"""


def run(devices, mesh, accumulation=1):
    env = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
    args = [sys.executable, "-c", PROGRAM, json.dumps([mesh, accumulation])]
    done = subprocess.run(args, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def alone():
    return run(1, {})


@pytest.mark.parametrize(
    ("mesh", "accumulation", "shard"),
    [({"data": 2, "fsdp": 2, "model": 2}, 1, [2, 32, 128]), ({"data": 1, "fsdp": 8, "model": 1}, 2, [2, 8, 256])],
)
def test_eight_devices_get_the_loss_of_one(alone, mesh, accumulation, shard):
    ours = run(8, mesh, accumulation)
    np.testing.assert_allclose(ours["losses"], alone["losses"], rtol=1e-5)
    np.testing.assert_allclose(ours["norms"], alone["norms"], rtol=1e-4)
    assert ours["shard"] == shard
    assert ours["shape"] == [2, 64, 256]
    # Activations are split along the batch where they enter and leave a layer, or every device would hold all of them.
    assert len(ours["constraints"]) >= 2
    assert all('"data", "fsdp"' in line for line in ours["constraints"])


def test_the_loss_falls(alone):
    assert alone["losses"][-1] < alone["losses"][0] - 0.3
