import dataclasses
from functools import partial

import flax.linen as nn
import jax
import pytest
from jax.sharding import AbstractMesh, PartitionSpec

from codex_jax.config import MeshConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.model.gpt import GPT, init_params
from codex_jax.model.sizes import SIZES
from codex_jax.parallel.mesh import AXES, RULES, check_divides, make_mesh
from codex_jax.training.state import abstract_state


def test_minus_one_takes_the_remaining_devices():
    assert dict(make_mesh(MeshConfig()).shape) == {"data": 1, "fsdp": jax.device_count(), "sequence": 1, "model": 1}


@pytest.mark.parametrize("sizes", [{"data": 7, "fsdp": 13}, {"data": -1, "fsdp": -1}, {"data": 0}, {"model": 99}])
def test_a_mesh_that_does_not_cover_the_devices_is_refused(sizes):
    with pytest.raises(InputError, match="mesh"):
        make_mesh(MeshConfig(**sizes))


def test_every_parameter_axis_has_a_rule_and_moments_are_split_like_parameters():
    model = GPT(ModelConfig(layers=2, width=64, heads=4, context=32, vocab_size=128))
    specs = nn.get_partition_spec(jax.eval_shape(partial(init_params, model.config), jax.random.key(0)))
    leaves = jax.tree.leaves(specs, is_leaf=lambda leaf: isinstance(leaf, PartitionSpec))
    assert {axis for spec in leaves for axis in spec} <= set(RULES)
    assert all(len(spec) for spec in leaves)  # every parameter has logical axes
    mesh = make_mesh(MeshConfig())
    state = abstract_state(TrainConfig(model=model.config), mesh)
    moments = state.optimizer[1][0].mu
    assert jax.tree.map(lambda a, b: a.sharding.spec == b.sharding.spec, moments, state.params) == jax.tree.map(
        lambda _: True, state.params
    )


@pytest.mark.parametrize(
    ("mesh", "settings", "message"),
    [
        ({"model": 4}, {"heads": 6}, r"--mesh.model = 4 does not divide --model.heads = 6: 1, 2, 3 or 6 would"),
        ({"fsdp": 8}, {"width": 12}, r"--mesh.fsdp x sequence = 8 does not divide --model.width = 12: .*4, 6 or 12"),
        ({"model": 3}, {"vocab_size": 128}, r"--mesh.model = 3 does not divide --model.vocab-size = 128: 1, 2, 4"),
        ({"sequence": 4, "model": 2}, {"length": 6}, r"--mesh.sequence = 4 does not divide sequences.* = 6: 1, 2, 3"),
        ({"data": 8}, {"batch": 12}, r"--mesh.data x fsdp = 8 does not divide --batch-size / --accum.* 12: .*6 or 12"),
        ({}, {"batch": 12, "accumulation": 8}, r"--accumulation = 8 does not divide --batch-size = 12: .*6 or 12"),
        ({}, {"loss_chunks": 5}, r"--loss-chunks = 5 does not divide sequences.* 24: 2, 3, 4, 6 or 8 would"),
    ],
)
def test_a_size_that_does_not_divide_is_refused_with_sizes_that_would(mesh, settings, message):
    model = ModelConfig(width=settings.get("width", 24), heads=settings.get("heads", 12), vocab_size=384)
    model = dataclasses.replace(model, vocab_size=settings.get("vocab_size", 384))
    run = {name: settings[name] for name in ("accumulation", "loss_chunks") if name in settings}
    config = TrainConfig(model=model, batch_size=settings.get("batch", 24), **run)
    shape = dict.fromkeys(AXES, 1) | mesh
    with pytest.raises(InputError, match=message):
        check_divides(config, settings.get("length", 24), AbstractMesh(tuple(shape.values()), tuple(shape)))


def test_sizes_that_divide_are_accepted():
    for size, _ in SIZES.values():
        config = TrainConfig(model=dataclasses.replace(size, vocab_size=50_304), batch_size=256, loss_chunks=4)
        shape = {"data": 2, "fsdp": 16, "sequence": 2, "model": 2}
        check_divides(config, 2048, AbstractMesh(tuple(shape.values()), tuple(shape)))
