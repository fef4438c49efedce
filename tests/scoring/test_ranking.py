"""Orders of samples, and the exact pass rate of the best of n."""

import itertools
import math

import pytest

from codex_jax.errors import InputError
from codex_jax.scoring.pass_at_k import pass_at_k
from codex_jax.scoring.ranking import best_of_weights, has_ranking, in_order


def rows(**fields):
    return [dict(zip(("task_id", *fields), ("a", *each), strict=True)) for each in zip(*fields.values(), strict=True)]


def test_the_highest_value_is_first_and_equal_samples_keep_their_order():
    samples = rows(sample=[0, 1, 2, 3], mean_logp=[-2.0, -1.0, -1.0, -3], passed=[True, False, False, True])
    assert [row["sample"] for row in in_order(samples, "mean_logp")] == [1, 2, 0, 3]
    assert [row["sample"] for row in in_order(samples, "oracle")] == [0, 3, 1, 2]


def test_a_random_order_depends_on_seed_and_problem_only():
    samples = rows(sample=[*range(20)])
    orders = [[row["sample"] for row in in_order(samples, "random", seed)] for seed in (0, 0, 1)]
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == [*range(20)]
    others = [{**row, "task_id": "b"} for row in samples]
    assert [row["sample"] for row in in_order(others, "random")] != orders[0]


@pytest.mark.parametrize("value", [None, "1", True, math.nan, -math.inf])
def test_a_missing_field_is_reported(value):
    samples = rows(mean_logp=[-1.0, value])
    assert not has_ranking(samples, "mean_logp")
    with pytest.raises(InputError, match="--by mean_logp: a sample of 'a' has no 'mean_logp'"):
        in_order(samples, "mean_logp")
    with pytest.raises(InputError, match="rank it with --run"):
        in_order(samples, "back_translation")
    with pytest.raises(InputError, match="give the results"):
        in_order(samples, "oracle")


@pytest.mark.parametrize(("samples", "n"), [(1, 1), (5, 1), (5, 2), (6, 3), (6, 5), (6, 6)])
def test_the_weights_are_those_of_all_subsets(samples, n):
    counts = [0] * samples
    for subset in itertools.combinations(range(samples), n):
        counts[min(subset)] += 1
    total = sum(counts)
    assert best_of_weights(samples, n) == pytest.approx([count / total for count in counts])


def test_with_an_oracle_it_is_pass_at_k():
    for samples, correct, n in ((100, 3, 7), (100, 60, 50), (10, 0, 10), (1000, 1, 1000)):
        passed = [1.0] * correct + [0.0] * (samples - correct)
        assert best_of_weights(samples, n) @ passed == pytest.approx(pass_at_k(samples, correct, n))
