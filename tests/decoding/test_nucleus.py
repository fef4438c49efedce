import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.decoding.nucleus import draw, nucleus_threshold


def kept_by_sorting(probabilities, top_p):
    """float64: the smallest set of most probable tokens whose mass reaches top_p, ties at its edge included."""
    order = np.sort(probabilities)[::-1]
    edge = order[np.searchsorted(np.cumsum(order), top_p)]
    return probabilities >= edge


@pytest.mark.parametrize("top_p", [0.1, 0.5, 0.9, 0.95])
def test_threshold_keeps_what_sorting_keeps(top_p):
    logits = np.random.default_rng(0).normal(0, 3, (50, 300))
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    threshold = np.asarray(nucleus_threshold(jnp.asarray(probabilities, jnp.float32), top_p))
    for row, edge in zip(probabilities, threshold, strict=True):
        assert (row.astype(np.float32) >= edge).sum() == kept_by_sorting(row, top_p).sum()


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9), (1.3, 0.6)])
def test_draws_follow_the_truncated_distribution(temperature, top_p):
    logits = np.array([2.0, 1.0, 1.0, 0.0, -1.0, -2.0])
    count = 100_000
    keys = jax.random.split(jax.random.key(0), count)
    rows = jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (count, len(logits)))
    seen = np.bincount(np.asarray(draw(keys, rows, temperature, top_p)), minlength=len(logits))
    wanted = np.exp(logits / temperature)
    wanted /= wanted.sum()
    if top_p < 1:
        wanted = np.where(kept_by_sorting(wanted, top_p), wanted, 0)
    wanted /= wanted.sum()
    assert seen[wanted == 0].sum() == 0
    expected = count * wanted[wanted > 0]
    chi_square = ((seen[wanted > 0] - expected) ** 2 / expected).sum()
    assert chi_square < 25  # 5 degrees of freedom at most: p < 0.0002


def test_temperature_zero_is_greedy():
    logits = jnp.asarray([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert draw(jax.random.split(jax.random.key(0), 2), logits, 0.0, 0.95).tolist() == [1, 0]
