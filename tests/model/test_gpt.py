import dataclasses
from functools import partial
from typing import get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig, RematPolicy
from codex_jax.model.context import pack
from codex_jax.model.geometry import non_embedding_parameters, parameters
from codex_jax.model.gpt import GPT, init_params
from codex_jax.model.sizes import SIZES
from tests.model.made import make_params
from tests.model.reference import forward

CONFIG = ModelConfig(layers=3, width=32, heads=4, context=40, vocab_size=64)
EOT = 0


@pytest.fixture(scope="module")
def params():
    return make_params(CONFIG)


@partial(jax.jit, static_argnums=2)
def logits(params, tokens, config=CONFIG):
    return GPT(config).apply({"params": params}, tokens, pack(tokens, EOT))


def documents(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [np.concatenate([[EOT], rng.integers(1, 64, n - 1)]) for n in lengths]


@pytest.mark.parametrize("settings", [*({"remat": policy} for policy in get_args(RematPolicy)), {"unroll": 3}])
def test_forward_agrees_with_float64_reference(params, settings):
    (doc,) = documents([30])
    actual, _ = logits(params, jnp.asarray(doc)[None], dataclasses.replace(CONFIG, **settings))
    expected = forward(jax.tree.map(np.asarray, params), doc, CONFIG.heads)
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(actual[0], expected, atol=1e-5 * np.abs(expected).max(), rtol=1e-5)


@pytest.mark.slow
def test_remat_policies_save_what_they_say_and_leave_gradients_unchanged(params):
    tokens = jnp.asarray(np.stack(documents([40, 40])))
    saved, grads = {}, {}
    for policy in get_args(RematPolicy):

        def loss(params, policy=policy):
            return (logits(params, tokens, dataclasses.replace(CONFIG, remat=policy))[0] ** 2).mean()

        grads[policy] = jax.grad(loss)(params)
        pullback = jax.eval_shape(lambda params, loss=loss: jax.vjp(loss, params)[1], params)
        per_layer = CONFIG.layers, *tokens.shape  # the axes of activations; parameters that are saved too have others
        saved[policy] = sum(leaf.size for leaf in jax.tree.leaves(pullback) if leaf.shape[:3] == per_layer)
    for grad in grads.values():
        expected, actual = jax.tree.leaves(grads["none"]), jax.tree.leaves(grad)
        scale = max(float(jnp.abs(leaf).max()) for leaf in expected)
        for a, b in zip(expected, actual, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6 * scale)
    widths = [round((saved[p] - saved["full"]) / (CONFIG.layers * tokens.size * CONFIG.width), 1) for p in saved]
    # attention: 1; qkv: 3 more; dots: query, key, value, out and four of up; dots_attention: 1 more
    assert widths[:-1] == [0, 1, 4, 8, 9]
    assert widths[-1] > 9


def test_a_packed_document_has_the_same_logits_as_alone(params):
    docs = documents([7, 1, 19, 11])
    packed, _ = logits(params, jnp.asarray(np.concatenate(docs))[None])
    start = 0
    for doc in docs:
        alone, _ = logits(params, jnp.asarray(doc)[None])
        np.testing.assert_allclose(packed[0, start : start + len(doc)], alone[0], atol=2e-5)
        start += len(doc)


@pytest.mark.parametrize("name", SIZES)
def test_each_size_has_the_parameters_of_its_name(name):
    config, _ = SIZES[name]
    config = dataclasses.replace(config, vocab_size=50_304)
    shapes = nn.meta.unbox(jax.eval_shape(partial(init_params, config), jax.random.key(0)))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert count == parameters(config)
    unit = {"m": 1e6, "b": 1e9}[name[-1]]
    claimed = float(name[:-1]) * unit
    # The names are rounded: 12b has 12.6e9 and 679m is exact to the million.
    assert non_embedding_parameters(config) == pytest.approx(claimed, rel=0.06)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes))


# A checksum of the initial values for seed 0: the sum of each flattened array times 1, 2, 3, ... A changed path, shape,
# distribution or order of random keys changes it, and with it every experiment.
INITIAL_VALUES = {
    "blocks/attention_norm/scale": 136,
    "blocks/down/kernel": 62.28911,
    "blocks/key/kernel": 5.035471,
    "blocks/mlp_norm/scale": 136,
    "blocks/out/kernel": 7.637433,
    "blocks/query/kernel": -13.15628,
    "blocks/up/kernel": 76.52262,
    "blocks/value/kernel": 8.243229,
    "final_norm/scale": 36,
    "position_embedding": -1.959791,
    "token_embedding": -2.529214,
}


def test_initial_values_never_change():
    config = ModelConfig(layers=2, width=8, heads=2, context=4, vocab_size=16)
    params = nn.meta.unbox(init_params(config, jax.random.key(0)))
    leaves = jax.tree_util.tree_leaves_with_path(params)
    values = {"/".join(key.key for key in path): np.asarray(leaf, np.float64).ravel() for path, leaf in leaves}
    checksums = {path: float(flat @ np.arange(1, flat.size + 1)) for path, flat in values.items()}
    assert {path: total for path, total in checksums.items() if not path.endswith("bias")} == pytest.approx(
        INITIAL_VALUES, rel=1e-5
    )
    assert not any(flat.any() for path, flat in values.items() if path.endswith("bias"))


def test_residual_projections_start_smaller():
    config = dataclasses.replace(CONFIG, layers=8, width=128)
    tree = nn.meta.unbox(init_params(config, jax.random.key(0)))["blocks"]
    assert float(tree["down"]["kernel"].std()) == pytest.approx(0.02 / 4, rel=0.05)
    assert float(tree["up"]["kernel"].std()) == pytest.approx(0.02, rel=0.05)
