"""The training step on one device and on eight simulated ones, each in a process that starts with so many devices."""

import json
import os
import subprocess
import sys

import jax
import numpy as np
import pytest

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.parallel.mesh import make_mesh
from codex_jax.training.state import init_state
from codex_jax.training.step import make_train_step, to_global

PROGRAM = """
import json, sys
import jax, numpy as np
from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.parallel.mesh import make_mesh
from codex_jax.training.state import init_state
from codex_jax.training.step import make_train_step, to_global

settings = json.loads(sys.argv[1])
mesh = make_mesh(MeshConfig(**settings["mesh"]))
shape = dict(layers=2, width=64, heads=4, context=32, vocab_size=128)
config = TrainConfig(
    model=ModelConfig(**shape, **settings.get("model", {})),
    optimizer=OptimizerConfig(peak_learning_rate=1e-2, warmup_steps=2, **settings.get("optimizer", {})),
    steps=6,
    **settings.get("run", {}),
)
rng = np.random.default_rng(0)
losses, norms = [], []
with jax.set_mesh(mesh):
    state = init_state(config, mesh)
    step = make_train_step(config, mesh, 0)
    for _ in range(6):
        batch = {"tokens": rng.integers(0, 20, (16, 33)).astype(np.int32),
                 "loss_mask": (rng.random((16, 33)) < 0.5).astype(np.uint8)}
        batch = to_global(mesh, batch)
        text = step.lower(state, batch).as_text() if not losses else text
        state, metrics = step(state, batch)
        losses.append(float(metrics["loss"])); norms.append(float(metrics["gradient_norm"]))
up, moments = state.params["blocks"]["up"]["kernel"], state.optimizer[1][0]
memory_kinds = {leaf.sharding.memory_kind for leaf in jax.tree.leaves((moments.mu, moments.nu))}
constraints = [line for line in text.splitlines() if "sharding_constraint" in line and "32x64xf32" in line]
print(json.dumps({"constraints": constraints, "losses": losses, "norms": norms, "memory_kinds": sorted(memory_kinds),
                  "first_moment": str(moments.mu["blocks"]["up"]["kernel"].dtype),
                  "shard": up.addressable_shards[0].data.shape, "shape": up.shape}))
"""


def run(devices, **settings):
    """What PROGRAM prints with so many devices."""
    env = {**os.environ, "XLA_FLAGS": f"--xla_force_host_platform_device_count={devices}", "JAX_PLATFORMS": "cpu"}
    args = [sys.executable, "-c", PROGRAM, json.dumps(settings)]
    done = subprocess.run(args, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def alone():
    """The result on one device."""
    return run(1, mesh={})


@pytest.mark.parametrize(
    ("mesh", "settings", "shard"),
    [
        ({"data": 2, "fsdp": 2, "model": 2}, {}, [2, 32, 128]),
        ({"fsdp": 4, "sequence": 2}, {"run": {"loss_chunks": 4}, "model": {"remat": "full"}}, [2, 8, 256]),
        pytest.param({"fsdp": 8}, {"run": {"accumulation": 2}}, [2, 8, 256], marks=pytest.mark.slow),
        pytest.param(
            {"data": 2, "fsdp": 2, "model": 2},
            {"run": {"loss_chunks": 2}, "model": {"remat": "dots_attention"}},
            [2, 32, 128],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_eight_devices_compute_the_losses_of_one(alone, mesh, settings, shard):
    result = run(8, mesh=mesh, **settings)
    np.testing.assert_allclose(result["losses"], alone["losses"], rtol=1e-5)
    np.testing.assert_allclose(result["norms"], alone["norms"], rtol=1e-4)
    assert result["shard"] == shard
    assert result["shape"] == [2, 64, 256]
    # Activations are split along the batch where they enter and leave a layer: no device holds the whole batch.
    split = [line for line in result["constraints"] if '"data", "fsdp"' in line]
    assert len(split) >= 2


@pytest.mark.slow
def test_offloaded_moments_change_no_loss(alone):
    result = run(1, mesh={}, optimizer={"offload": True})
    assert result["memory_kinds"] == ["pinned_host"]
    assert alone["memory_kinds"] == ["device"]
    assert result["losses"] == alone["losses"]


@pytest.mark.slow
def test_a_bfloat16_first_moment_trains_almost_alike(alone):
    result = run(1, mesh={}, optimizer={"first_moment_dtype": "bfloat16"})
    assert (alone["first_moment"], result["first_moment"]) == ("float32", "bfloat16")
    assert result["losses"] != alone["losses"]
    np.testing.assert_allclose(result["losses"], alone["losses"], rtol=2e-2)


@pytest.mark.slow
def test_weights_gathered_in_bfloat16_train_almost_alike(alone):
    model = {"compute_dtype": "bfloat16", "gather_dtype": "bfloat16"}
    result, float32_gathered = (
        run(8, mesh={"fsdp": 8}, model=model),
        run(1, mesh={}, model={"compute_dtype": "bfloat16"}),
    )
    np.testing.assert_allclose(result["losses"], float32_gathered["losses"], rtol=2e-2)
    np.testing.assert_allclose(result["losses"], alone["losses"], rtol=3e-2)


def test_the_loss_falls(alone):
    assert alone["losses"][-1] < alone["losses"][0] - 0.3


@pytest.mark.parametrize(("rate", "poison"), [(1e-3, 0.0), (1e-3, np.nan), (1e-3, np.inf), (3e38, 0.0)])
def test_an_update_that_is_not_finite_is_skipped(rate, poison):
    model = ModelConfig(layers=1, width=16, heads=2, context=8, vocab_size=128)
    config = TrainConfig(model=model, optimizer=OptimizerConfig(peak_learning_rate=rate, weight_decay=10.0), steps=6)
    mesh = make_mesh(MeshConfig())
    with jax.set_mesh(mesh):
        state = init_state(config, mesh)
        scale = state.params["final_norm"]["scale"]
        state.params["final_norm"]["scale"] = scale.at[3].add(poison)
        before = jax.tree.map(np.array, state)
        batch = to_global(mesh, {"tokens": np.arange(36, dtype=np.int32).reshape(4, 9)})
        after, metrics = make_train_step(config, mesh, 0)(state, batch)
    healthy = (rate, poison) == (1e-3, 0.0)
    assert bool(metrics["skipped"]) == (not healthy)
    assert int(after.step) == 1
    for tree in ("params", "optimizer"):
        arrays = zip(jax.tree.leaves(getattr(before, tree)), jax.tree.leaves(getattr(after, tree)), strict=True)
        same = [np.array_equal(old, new, equal_nan=True) for old, new in arrays if old.ndim]
        assert all(same) if not healthy else not any(same)
    # The learning rate goes on.
    assert {int(leaf) for leaf in jax.tree.leaves(after.optimizer) if leaf.ndim == 0} == {1}
