from functools import partial

import flax.linen as nn
import jax
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.geometry import (
    PARAMETERS,
    contraction_axis,
    layer_matrix_parameters,
    layer_windows,
    non_embedding_parameters,
    parameter_at,
    parameters,
)
from codex_jax.model.gpt import init_params

CONFIG = ModelConfig(layers=3, width=8, heads=2, context=16, vocab_size=128)
# Of one layer: attention has 4 matrices of 8 x 8, the MLP 2 of 8 x 32; biases are of the outputs; 2 norms.
ATTENTION, MLP = 4 * 64, 2 * 256
VECTORS = 4 * 8 + 32 + 8 + 2 * (8 + 8)


def test_counts_of_a_small_model_worked_by_hand():
    assert layer_matrix_parameters(CONFIG) == ATTENTION + MLP
    assert layer_matrix_parameters(CONFIG, ("out", "up")) == 64 + 256
    assert non_embedding_parameters(CONFIG) == 3 * (ATTENTION + MLP + VECTORS) + 16
    assert parameters(CONFIG) == 3 * (ATTENTION + MLP + VECTORS) + 16 + (128 + 16) * 8


def test_the_table_lists_every_parameter_of_the_model_with_its_shape():
    tree = nn.meta.unbox(jax.eval_shape(partial(init_params, CONFIG), jax.random.key(0)))
    paths = {"/".join(key.key for key in path) for path, _ in jax.tree_util.tree_leaves_with_path(tree)}
    assert paths == set(PARAMETERS)
    assert sum(leaf.size for leaf in jax.tree.leaves(tree)) == parameters(CONFIG)


@pytest.mark.parametrize(
    ("path", "is_matrix", "stays_float32"),
    [
        ("token_embedding", True, False),
        ("position_embedding", True, False),
        ("blocks/up/kernel", True, False),
        ("blocks/up/bias", False, False),
        ("blocks/mlp_norm/bias", False, True),
        ("final_norm/scale", False, True),
    ],
)
def test_kinds_of_parameters(path, is_matrix, stays_float32):
    keys = tuple(map(jax.tree_util.DictKey, path.split("/")))
    assert (parameter_at(keys).is_matrix, parameter_at(keys).stays_float32) == (is_matrix, stays_float32)


def test_an_unknown_parameter_has_no_entry():
    with pytest.raises(KeyError):
        parameter_at((jax.tree_util.DictKey("gate"),))


def test_kernels_that_project_back_to_the_width_sum_over_their_second_axis():
    axes = {name: contraction_axis(name) for name in ("query", "key", "value", "out", "up", "down")}
    assert axes == {"query": 0, "key": 0, "value": 0, "out": 1, "up": 0, "down": 1}


def test_every_second_layer_has_the_window():
    assert layer_windows(ModelConfig(layers=5, window=7)) == (0, 7, 0, 7, 0)
    assert layer_windows(ModelConfig(layers=2)) == (0, 0)
