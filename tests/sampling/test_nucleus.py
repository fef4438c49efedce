import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.sampling import nucleus
from codex_jax.sampling.nucleus import cutoff, folded, inverse, largest
from codex_jax.sampling.params import SamplingParams


def draw(keys, logits, temperature, top_p=1.0, top_k=0):
    program_key = SamplingParams(temperature, top_p, top_k=top_k).program_key
    return nucleus.draw(program_key, keys, logits, temperature, top_p, top_k)


def truncated(weights, top_p, top_k):
    weights = largest(weights, top_k) if top_k else weights
    return nucleus.nucleus(weights, top_p) if top_p < 1 else weights


def kept_by_sorting(weights, top_p=1.0, top_k=0):
    """float64: the top_k largest, then the fewest of these whose sum reaches top_p of the total; ties are kept."""
    kept = weights.copy()
    if top_k:
        kept = np.where(kept >= np.sort(kept)[-min(top_k, len(kept))], kept, 0)
    if top_p < 1:
        order = np.sort(kept)[::-1]
        edge = order[np.searchsorted(np.cumsum(order), top_p * order.sum())]
        kept = np.where(kept >= edge, kept, 0)
    return kept


@pytest.mark.parametrize(("top_p", "top_k"), [(0.1, 0), (0.5, 0), (0.9, 0), (0.95, 0), (1.0, 1), (1.0, 40), (0.8, 40)])
@pytest.mark.parametrize("spread", [0.01, 1.0, 6.0])
def test_truncation_keeps_what_sorting_keeps(top_p, top_k, spread):
    logits = np.random.default_rng(0).normal(0, spread, (50, 300)).astype(np.float32)
    weights = np.exp(logits - logits.max(1, keepdims=True))
    result = np.asarray(truncated(folded(jnp.asarray(weights)), top_p, top_k)).reshape(50, -1)[:, :300]
    for row, kept in zip(weights, result, strict=True):
        expected = kept_by_sorting(row.astype(np.float64), top_p, top_k)
        assert ((expected > 0) == (kept > 0)).all()


def test_ties_at_the_edge_are_all_kept_and_nothing_else():
    weights = np.zeros((3, 128), np.float32)
    weights[0, :8] = 1.0  # all equal
    weights[1, :5] = [1, 0.5, 0.5, 0.5, 0.25]
    weights[2, :2] = [1, 1e-30]
    kept = truncated(folded(jnp.asarray(weights)), 0.6, 0) > 0
    assert kept.sum((1, 2)).tolist() == [8, 4, 1]
    kept = truncated(folded(jnp.asarray(weights)), 1.0, 2) > 0
    assert kept.sum((1, 2)).tolist() == [8, 4, 2]


def test_a_cutoff_that_everything_passes_keeps_everything():
    weights = folded(jnp.asarray(np.random.default_rng(0).random((4, 200)), jnp.float32))
    edge = cutoff(weights, lambda mass, count: count >= 200, jnp.zeros(4))
    assert ((weights >= edge[:, None, None]) & (weights > 0)).sum((1, 2)).tolist() == [200] * 4


@pytest.mark.parametrize("top_p", [0.3, 0.9, 0.95, 1.0])
@pytest.mark.parametrize("temperature", [0.8, *(pytest.param(t, marks=pytest.mark.slow) for t in (0.2, 1.0, 1.3))])
def test_draws_follow_the_truncated_distribution(temperature, top_p):
    # Logits over several lanes and rows of lanes, with ties.
    logits = np.repeat(np.random.default_rng(1).normal(0, 2, 30), 10)[:290]
    count, batch, seen = 100_000, 2_000, np.zeros(290, int)
    rows = jnp.broadcast_to(jnp.asarray(logits, jnp.float32), (batch, 290))
    run = jax.jit(lambda keys: draw(keys, rows, temperature, top_p)[0])
    for keys in jax.random.split(jax.random.key(0), (count // batch, batch)):
        seen += np.bincount(np.asarray(run(keys)), minlength=290)
    weights = np.exp((logits.astype(np.float32).astype(np.float64) - logits.max()) / temperature)
    weights = kept_by_sorting(weights, top_p)
    probabilities = weights / weights.sum()
    assert seen[probabilities == 0].sum() == 0
    # Tokens that are expected less than 5 times count as one.
    common = count * probabilities >= 5
    seen = np.append(seen[common], seen[~common].sum())
    expected = np.append(count * probabilities[common], count * probabilities[~common].sum())
    seen, expected = seen[expected > 0], expected[expected > 0]
    freedom = max(len(seen) - 1, 1)
    chi_square = ((seen - expected) ** 2 / expected).sum()
    assert chi_square < freedom + 2 * (9.2 * freedom) ** 0.5 + 2 * 9.2  # p < 0.0001 (Laurent and Massart 2000)


def test_the_log_probability_is_that_of_the_truncated_distribution():
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 2, (200, 300)), jnp.float32)
    tokens, logps, _ = draw(jax.random.split(jax.random.key(0), 200), logits, 0.7, 0.8, 50)
    weights = np.exp((np.asarray(logits, np.float64) - np.asarray(logits).max(1, keepdims=True)) / 0.7)
    for row, token, logp in zip(weights, tokens, logps, strict=True):
        kept = kept_by_sorting(row, 0.8, 50)
        assert float(logp) == pytest.approx(np.log(kept[token] / kept.sum()), abs=1e-5)


@pytest.mark.parametrize("temperature", [0.0, 0.3, 1.0])
def test_log_sum_is_the_logsumexp_at_temperature_1(temperature):
    logits = np.random.default_rng(0).normal(50, 9, (20, 300)).astype(np.float32)
    logits[:, ::7] = -np.inf
    sums = draw(jax.random.split(jax.random.key(0), 20), jnp.asarray(logits), temperature, 0.8).log_sum
    np.testing.assert_allclose(sums, np.logaddexp.reduce(logits.astype(np.float64), axis=1), rtol=1e-6)


@pytest.mark.parametrize("top_p", [0.35, 0.6, 0.85, 0.999])
def test_rows_of_few_tokens_are_cut_at_the_right_one(top_p):
    # The search ends with two tokens left and then decides on the smaller one. There are ties and adjacent floats.
    rng, rows = np.random.default_rng(2), []
    for count in (1, 2, 3, 4) * 50:
        row = np.zeros(300, np.float32)
        values = rng.choice([1.0, 0.5, 0.25, np.nextafter(np.float32(0.5), 1), 0.1], count)
        row[rng.choice(300, count, replace=False)] = values / values.max()
        rows.append(row)
    kept = np.asarray(nucleus.nucleus(folded(jnp.asarray(rows)), top_p)).reshape(len(rows), -1)[:, :300]
    for row, result in zip(rows, kept, strict=True):
        assert (result > 0).tolist() == (kept_by_sorting(row.astype(np.float64), top_p) > 0).tolist()


@pytest.mark.slow
def test_a_draw_does_not_depend_on_other_rows():
    logits = jnp.asarray(np.random.default_rng(0).normal(0, 2, (64, 500)), jnp.float32)
    keys = jax.random.split(jax.random.key(0), 64)
    tokens, logps, sums = draw(keys, logits, 0.8, 0.9)
    for rows in (slice(0, 1), slice(5, 12), slice(20, 64)):
        some, some_logps, some_sums = draw(keys[rows], logits[rows], 0.8, 0.9)
        assert some.tolist() == tokens[rows].tolist()
        np.testing.assert_allclose(some_logps, logps[rows], atol=1e-6)
        np.testing.assert_allclose(some_sums, sums[rows], atol=1e-6)


def test_the_inverse_never_gives_a_weight_of_zero():
    weights = np.zeros((5, 400), np.float32)
    weights[:, 17], weights[:, 301] = 1e-12, 1.0
    edges = jnp.asarray([0.0, 1e-20, 0.5, 1 - 2**-22, 1 - 2**-23])
    assert set(inverse(jnp.asarray(weights), edges).tolist()) <= {17, 301}


def test_temperature_zero_is_greedy():
    logits = jnp.asarray([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    tokens, logps, _ = draw(jax.random.split(jax.random.key(0), 2), logits, 0.0, 0.95)
    assert (tokens.tolist(), logps.tolist()) == ([1, 0], [0, 0])
