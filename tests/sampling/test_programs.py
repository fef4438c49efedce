import json
import os
import subprocess
import sys

import pytest

# On eight simulated devices: what a trained run's weights and a state are, beside what is planned with.
PROGRAM = """
import dataclasses, json, sys
import jax
import jax.numpy as jnp
from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.sampling.programs import jitted, param_shapes, state_shapes, weight_shapes
from codex_jax.sampling.scheduler import Layout
from codex_jax.model.decode import unstack
from codex_jax.model.quantize import quantize
from codex_jax.parallel.mesh import make_mesh

mesh = make_mesh(MeshConfig(**json.loads(sys.argv[1])))
config = ModelConfig(layers=2, width=64, heads=4, context=64, vocab_size=128, compute_dtype="bfloat16")
int8 = sys.argv[2] == "int8"
with jax.set_mesh(mesh):
    params = jax.tree.map(
        lambda s: jax.jit(lambda: jnp.ones(s.shape, s.dtype), out_shardings=s.sharding)(), param_shapes(config, mesh)
    )
    weights = unstack(quantize(params) if int8 else params)
    state = jitted(config, 0, mesh).empty(8, 3, 64, 32)
planned = weight_shapes(config, mesh, int8), state_shapes(config, mesh, Layout(8, 3), 64, 32)
assert jax.tree.structure(planned) == jax.tree.structure((weights, state))

def compare(path, real, shape):
    same = real.sharding.is_equivalent_to(shape.sharding, real.ndim)
    if (real.shape, real.dtype) != (shape.shape, shape.dtype) or not same:
        print(jax.tree_util.keystr(path), real.sharding.spec, shape.sharding.spec, real.dtype, shape.dtype)

jax.tree_util.tree_map_with_path(compare, (weights, state), planned)
"""


@pytest.mark.parametrize("kind", ["bfloat16", "int8"])
@pytest.mark.parametrize("mesh", [{"data": 8, "fsdp": 1}, {"data": 2, "fsdp": 2, "model": 2}])
def test_shapes_to_plan_with_are_those_of_real_weights_and_states(mesh, kind):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(mesh), kind]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
