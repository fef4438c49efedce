import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import MeshConfig, ModelConfig, TrainConfig
from codex_jax.model.decode import unstack
from codex_jax.parallel.mesh import make_mesh
from codex_jax.sampling import rows
from codex_jax.sampling.engine import Engine
from codex_jax.sampling.params import SamplingParams
from codex_jax.training.state import init_state
from codex_jax.training.step import make_eval_step, make_train_step, to_global
from tests.sampling.letters import Letters

MESH = make_mesh(MeshConfig())


def lowered(dtype):
    """The programs that compute with a model's weights, as StableHLO."""
    config = ModelConfig(layers=2, width=32, heads=2, context=64, vocab_size=128, compute_dtype=dtype)
    run = TrainConfig(model=config)
    in_parts = dataclasses.replace(run, accumulation=2, loss_chunks=2)
    with jax.set_mesh(MESH):
        state = init_state(run, MESH)
        batch = to_global(MESH, {"tokens": np.ones((8, 65), np.int32)})
        yield make_train_step(run, MESH, 0).lower(state, batch)
        yield make_train_step(in_parts, MESH, 0).lower(state, batch)
        yield make_eval_step(run, 0).lower(state.params, batch)
        weights = jax.tree.map(lambda x: x.astype(dtype), unstack(state.params))
        engine = Engine(config, weights, Letters(), MESH)
        yield engine.logps.lower(weights, jnp.ones((1, 64), jnp.int32))
        how, groups = SamplingParams(1.0, 0.95, 32, ()), np.zeros(1, np.int32)
        rows_state = engine.programs.empty(1, 4, 32, 32)
        yield engine.programs.place.lower(weights, rows_state, groups, np.zeros((1, 32), np.int32), groups)
        fixed = rows.make_sampling_scalars(how), engine.stop_tables((), False)
        yield engine.programs.advance.lower(how.program_key, *fixed, weights, rows_state, np.int32(1), np.int32(4))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_products_of_float32_are_of_float32_on_every_platform(dtype):
    for program in lowered(dtype):
        products = [line for line in program.as_text().splitlines() if "stablehlo.dot_general" in line]
        exact = [line for line in products if "precision = [HIGHEST, HIGHEST]" in line]
        assert products
        assert len(exact) == (len(products) if dtype == "float32" else 0)
