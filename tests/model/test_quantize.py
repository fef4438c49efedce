import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.model.decode import forward, head, unstack
from codex_jax.model.quantize import quantize
from tests.sampling.letters import CONFIG, make_params


@pytest.fixture(scope="module")
def params():
    return make_params()


def test_a_weight_is_its_integer_times_the_scale_of_its_output(params):
    for name, linear in quantize(params)["blocks"].items():
        if "kernel" not in linear:
            continue
        kernel = np.asarray(params["blocks"][name]["kernel"], np.float64)
        inputs = {"out": 2, "down": 2}.get(name, 1)
        scale = np.abs(kernel).max(axis=inputs, keepdims=True) / 127
        np.testing.assert_allclose(linear["scale"], scale.squeeze(inputs), rtol=1e-6)
        assert linear["kernel"].dtype == jnp.int8
        assert (np.abs(linear["kernel"] * scale - kernel) <= 0.5001 * scale).all()
        assert np.abs(np.asarray(linear["kernel"], int)).max() == 127


def test_products_take_the_scales(params):
    # A float model of the integers times their scales gives the same logits.
    narrow = quantize(params)
    wide = {**narrow, "blocks": dict(narrow["blocks"])}
    for name, linear in narrow["blocks"].items():
        if "kernel" in linear:
            scale = jnp.expand_dims(linear["scale"], 2 if name in ("out", "down") else 1)
            wide["blocks"][name] = {"kernel": linear["kernel"] * scale, "bias": linear["bias"]}
    tokens = jnp.asarray([[0, *b"def f(x): return x"]])
    ours, theirs = (
        head(CONFIG, weights, forward(CONFIG, weights, tokens, 0)[0]) for weights in map(unstack, (narrow, wide))
    )
    np.testing.assert_allclose(ours, theirs, atol=2e-4)
    full = unstack(params)
    assert np.abs(ours - head(CONFIG, full, forward(CONFIG, full, tokens, 0)[0])).max() > 1e-3


def test_a_kernel_of_zeros_stays_zeros(params):
    zeros = jax.tree.map(jnp.zeros_like, params)
    assert not np.asarray(quantize(zeros)["blocks"]["up"]["kernel"]).any()
    assert (np.asarray(quantize(zeros)["blocks"]["up"]["scale"]) == 1).all()
