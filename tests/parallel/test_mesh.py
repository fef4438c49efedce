import flax.linen as nn
import jax
import pytest
from jax.sharding import PartitionSpec

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig
from codex_jax.errors import InputError
from codex_jax.model.gpt import GPT
from codex_jax.parallel.mesh import RULES, make_mesh
from codex_jax.training.optimizer import make_optimizer
from codex_jax.training.state import state_shardings


def test_minus_one_takes_what_is_left():
    assert dict(make_mesh(MeshConfig()).shape) == {"data": 1, "fsdp": jax.device_count(), "model": 1}


@pytest.mark.parametrize("sizes", [{"data": 7, "fsdp": 13}, {"data": -1, "fsdp": -1}, {"data": 0}, {"model": 99}])
def test_a_mesh_that_does_not_cover_the_devices_is_refused(sizes):
    with pytest.raises(InputError, match="mesh"):
        make_mesh(MeshConfig(**sizes))


def test_every_parameter_axis_has_a_rule_and_moments_lie_as_parameters_do():
    model = GPT(ModelConfig(layers=2, width=64, heads=4, context=32, vocab_size=128))
    tokens = jax.ShapeDtypeStruct((1, 4), "int32")
    specs = nn.get_partition_spec(jax.eval_shape(model.init, jax.random.key(0), tokens, tokens, tokens))
    leaves = jax.tree.leaves(specs, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec))
    assert {axis for spec in leaves for axis in spec} <= {name for name, _ in RULES}
    assert all(len(spec) for spec in leaves)  # none was left without names
    mesh = make_mesh(MeshConfig())
    shapes, placed = state_shardings(model, make_optimizer(OptimizerConfig(), 10), mesh)
    moments = placed.optimizer[1][0].mu
    assert jax.tree.map(lambda a, b: a.spec == b.spec, moments, placed.params) == jax.tree.map(
        lambda _: True, placed.params
    )
    assert jax.tree.structure(shapes.params) == jax.tree.structure(placed.params)
