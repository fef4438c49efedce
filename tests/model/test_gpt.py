import dataclasses
from functools import partial
from typing import get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax._src.ad_checkpoint import saved_residuals

from codex_jax.config import ModelConfig, RematPolicy
from codex_jax.model.geometry import non_embedding_parameters, parameters
from codex_jax.model.gpt import GPT, segments_and_positions
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
    segments, positions = segments_and_positions(tokens, EOT)
    return GPT(config).apply({"params": params}, tokens, segments, positions)


def documents(lengths, seed=0):
    rng = np.random.default_rng(seed)
    return [np.concatenate([[EOT], rng.integers(1, 64, n - 1)]) for n in lengths]


@pytest.mark.parametrize("speed", [*({"remat": policy} for policy in get_args(RematPolicy)), {"unroll": 3}])
def test_forward_agrees_with_float64_reference(params, speed):
    (doc,) = documents([30])
    ours, _ = logits(params, jnp.asarray(doc)[None], dataclasses.replace(CONFIG, **speed))
    theirs = forward(jax.tree.map(np.asarray, params), doc, CONFIG.heads)
    assert np.abs(theirs).max() > 1
    np.testing.assert_allclose(ours[0], theirs, atol=1e-5 * np.abs(theirs).max(), rtol=1e-5)


def test_what_a_policy_saves_changes_no_gradient_and_is_what_it_says(params):
    tokens = jnp.asarray(np.stack(documents([40, 40])))
    saved, grads = {}, {}
    for policy in get_args(RematPolicy):

        def loss(params, policy=policy):
            return (logits(params, tokens, dataclasses.replace(CONFIG, remat=policy))[0] ** 2).mean()

        grads[policy] = jax.grad(loss)(params)
        kept = [value for value, why in saved_residuals(loss, params) if "from the argument" not in why]
        saved[policy] = sum(value.size for value in kept)
    for grad in grads.values():
        wanted, got = jax.tree.leaves(grads["none"]), jax.tree.leaves(grad)
        scale = max(float(jnp.abs(leaf).max()) for leaf in wanted)
        for a, b in zip(wanted, got, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6 * scale)
    widths = [round((saved[p] - saved["full"]) / (CONFIG.layers * tokens.size * CONFIG.width), 1) for p in saved]
    assert widths[:-1] == [0, 1, 4, 8, 9]  # attention; and query, key, value; out and four of up, with attention or not
    assert widths[-1] > 9


def test_packed_documents_get_the_logits_they_have_alone(params):
    docs = documents([7, 1, 19, 11])
    packed, _ = logits(params, jnp.asarray(np.concatenate(docs))[None])
    start = 0
    for doc in docs:
        alone, _ = logits(params, jnp.asarray(doc)[None])
        np.testing.assert_allclose(packed[0, start : start + len(doc)], alone[0], atol=2e-5)
        start += len(doc)


def test_segments_and_positions():
    segments, positions = segments_and_positions(jnp.asarray([[3, 4, EOT, 5, EOT, EOT, 6]]), EOT)
    assert segments.tolist() == [[0, 0, 1, 1, 2, 3, 3]]
    assert positions.tolist() == [[0, 1, 0, 1, 0, 0, 1]]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_have_the_parameters_they_claim(name):
    config, _ = SIZES[name]
    config = dataclasses.replace(config, vocab_size=50_304)
    tokens = jax.ShapeDtypeStruct((1, 8), jnp.int32)
    shapes = nn.meta.unbox(jax.eval_shape(GPT(config).init, jax.random.key(0), tokens, tokens, tokens))
    count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert count == parameters(config)
    unit = {"m": 1e6, "b": 1e9}[name[-1]]
    claimed = float(name[:-1]) * unit
    # The names are rounded: 12b has 12.6e9 and 679m is exact to the million.
    assert non_embedding_parameters(config) == pytest.approx(claimed, rel=0.06)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(shapes))


def test_residual_projections_start_smaller():
    tokens = jnp.zeros((1, 4), jnp.int32)
    config = dataclasses.replace(CONFIG, layers=8, width=128)
    tree = nn.meta.unbox(GPT(config).init(jax.random.key(0), tokens, tokens, tokens))["params"]["blocks"]
    assert float(tree["down"]["kernel"].std()) == pytest.approx(0.02 / 4, rel=0.05)
    assert float(tree["up"]["kernel"].std()) == pytest.approx(0.02, rel=0.05)
