import math

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from codex_jax.config import OptimizerConfig
from codex_jax.training.optimizer import decayed, learning_rate, make_optimizer

CONFIG = OptimizerConfig(peak_learning_rate=1e-2, warmup_steps=4, final_fraction=0.1, weight_decay=0.1)


def rate(step, steps):
    """Linear warm-up that reaches the peak at warmup_steps, then cosine to a tenth of it."""
    if step < 4:
        return 1e-2 / 5 + (1e-2 - 1e-2 / 5) * step / 4
    return 1e-2 * (0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - 4) / (steps - 4))))


def test_learning_rate_is_warm_up_then_cosine():
    schedule = learning_rate(CONFIG, 20)
    assert [float(schedule(n)) for n in range(21)] == pytest.approx([rate(n, 20) for n in range(21)], rel=1e-5)


def test_updates_are_those_of_adamw_in_float64():
    rng = np.random.default_rng(0)
    expected = {k: rng.normal(size=(3, 4)) for k in ("kernel", "bias")}
    gradients = [{k: rng.normal(size=(3, 4)) * scale for k in expected} for scale in (0.1, 5.0, 1.0)]

    def in_layer(arrays):
        return {"blocks": {"up": {k: jnp.asarray(v, jnp.float32) for k, v in arrays.items()}}}

    optimizer, params = make_optimizer(CONFIG, 20), in_layer(expected)
    state = optimizer.init(params)
    first, second = ({k: np.zeros((3, 4)) for k in expected} for _ in range(2))
    for n, gradient in enumerate(gradients):
        updates, state = optimizer.update(in_layer(gradient), state, params)
        params = optax.apply_updates(params, updates)
        norm = math.sqrt(sum((g**2).sum() for g in gradient.values()))
        for k, g in gradient.items():
            clipped = g / max(1.0, norm)
            first[k] = 0.9 * first[k] + 0.1 * clipped
            second[k] = 0.95 * second[k] + 0.05 * clipped**2
            mean, variance = first[k] / (1 - 0.9 ** (n + 1)), second[k] / (1 - 0.95 ** (n + 1))
            decay = 0.1 * expected[k] if k == "kernel" else 0.0
            expected[k] = expected[k] - rate(n, 20) * (mean / (np.sqrt(variance) + 1e-8) + decay)
    for k, array in expected.items():
        np.testing.assert_allclose(params["blocks"]["up"][k], array, rtol=1e-5, atol=1e-6)


def test_matrices_alone_decay():
    tree = {"blocks": {"query": {"kernel": 0, "bias": 0}, "mlp_norm": {"scale": 0}}, "token_embedding": 0}
    assert decayed(tree) == {
        "blocks": {"query": {"kernel": True, "bias": False}, "mlp_norm": {"scale": False}},
        "token_embedding": True,
    }
