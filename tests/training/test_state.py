import dataclasses
from contextlib import closing

import jax
import numpy as np
import pytest

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.parallel.mesh import make_mesh
from codex_jax.runs import loading
from codex_jax.runs.checkpoints import Checkpoints
from codex_jax.runs.folder import write_config
from codex_jax.text.tokenizers import train_sentencepiece
from codex_jax.training.state import abstract_state, as_trees, init_state, new_state, saved_state

MESH = make_mesh(MeshConfig())
CONFIG = TrainConfig(model=ModelConfig(layers=1, width=16, heads=2, context=8, vocab_size=384), steps=10)
TOKENIZER = train_sentencepiece([f"def function_{n}(x):\n    return x * {n}\n" for n in range(50)], 320)
ABOUT = loading.about(CONFIG.model, TOKENIZER.sha256)


def same(one, other):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: bool(np.array_equal(a, b)), one, other)))


def test_the_abstract_state_is_that_of_the_real_one():
    state, abstract = init_state(CONFIG, MESH), abstract_state(CONFIG, MESH)
    assert jax.tree.structure(state) == jax.tree.structure(abstract)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), state) == jax.tree.map(lambda x: (x.shape, x.dtype), abstract)
    assert jax.tree.map(lambda x: x.sharding, state) == jax.tree.map(lambda x: x.sharding, abstract)


def test_offloaded_moments_are_in_host_memory_and_nothing_else():
    config = dataclasses.replace(CONFIG, optimizer=OptimizerConfig(offload=True))
    state = abstract_state(config, MESH)
    kinds = {leaf.sharding.memory_kind for leaf in jax.tree.leaves(state.optimizer) if leaf.ndim}
    others = {leaf.sharding.memory_kind for leaf in jax.tree.leaves((state.params, state.step))}
    assert kinds == {"pinned_host"}
    assert "pinned_host" not in others


def test_the_seed_decides_the_parameters():
    one, again = init_state(CONFIG, MESH), init_state(CONFIG, MESH)
    other = init_state(dataclasses.replace(CONFIG, seed=1), MESH)
    assert same(one, again)
    assert not same(one.params, other.params)
    assert int(one.step) == 0


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(the settings of a run with a checkpoint of step 4, the state in it)."""
    config = dataclasses.replace(CONFIG, run_dir=str(tmp_path_factory.mktemp("trained")))
    state = jax.tree.map(lambda leaf: leaf + 4, init_state(config, MESH))
    with closing(Checkpoints(config.folder)) as checkpoints:
        checkpoints.save(4, {**ABOUT, "losses": [2.0]}, **as_trees(state))
    return config, state


def test_a_resumed_run_starts_from_its_newest_checkpoint(trained):
    config, saved = trained
    state, about = saved_state(config, MESH, ABOUT)
    assert same(state, saved)
    assert jax.tree.structure(state) == jax.tree.structure(saved)
    assert about["losses"] == [2.0]


def test_a_run_without_checkpoint_starts_from_the_seed():
    assert same(new_state(CONFIG, MESH), init_state(CONFIG, MESH))


def test_init_from_takes_the_parameters_only(trained):
    config, saved = trained
    TOKENIZER.save(config.folder / "tokenizer")
    write_config(config.folder, config)
    for run in (config.folder, f"{config.folder}@4"):
        state = new_state(dataclasses.replace(CONFIG, init_from=str(run)), MESH)
        assert same(state.params, saved.params)
        assert same(state.optimizer, init_state(CONFIG, MESH).optimizer)
        assert int(state.step) == 0


def test_keep_moments_takes_the_moments_too_but_not_the_place_in_the_schedule(trained):
    config, saved = trained
    TOKENIZER.save(config.folder / "tokenizer")
    write_config(config.folder, config)
    state = new_state(dataclasses.replace(CONFIG, init_from=str(config.folder), keep_moments=True), MESH)
    assert same(state.params, saved.params)
    (adam, *_, schedule), (saved_adam, *_) = state.optimizer[1], saved.optimizer[1]
    assert same(adam, saved_adam)
    assert int(adam.count) == 4
    assert (int(schedule.count), int(state.step)) == (0, 0)
