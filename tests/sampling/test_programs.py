import json
import os
import subprocess
import sys

import pytest

from codex_jax.config import ModelConfig
from codex_jax.sampling.params import SamplingParams
from codex_jax.sampling.programs import slots_for

# On eight simulated devices, prints every difference between real weights and states and the shapes used for plans.
PROGRAM = """
import dataclasses, json, sys
import jax
import jax.numpy as jnp
from codex_jax.config import MeshConfig, ModelConfig
from codex_jax.sampling.programs import jitted, param_shapes, state_shapes, weight_shapes
from codex_jax.sampling.rows import Layout
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


@pytest.mark.parametrize("weights", ["bfloat16", "int8"])
@pytest.mark.parametrize("mesh", [{"data": 8, "fsdp": 1}, {"data": 2, "fsdp": 2, "model": 2}])
def test_planned_shapes_are_those_of_real_weights_and_states(mesh, weights):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    command = [sys.executable, "-c", PROGRAM, json.dumps(mesh), weights]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""


def test_new_tokens_have_a_multiple_of_32_slots_within_the_context():
    config = ModelConfig(context=128)
    slots = [slots_for(config, SamplingParams(max_new_tokens=tokens)) for tokens in (1, 32, 33, 127, 1000)]
    assert slots == [32, 32, 64, 128, 128]
