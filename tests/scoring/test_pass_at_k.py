from fractions import Fraction
from math import comb

import pytest

from codex_jax.scoring.pass_at_k import pass_at_k, supported_ks


def test_equals_exact_combinatorics():
    for n in (1, 2, 7, 100, 200):
        for c in {0, 1, 2, n // 2, n - 1, n} & set(range(n + 1)):
            for k in {1, 2, 10, n // 2, n} & set(range(1, n + 1)):
                exact = 1 - Fraction(comb(n - c, k), comb(n, k))
                assert pass_at_k(n, c, k) == pytest.approx(float(exact), abs=1e-12)


@pytest.mark.parametrize("bad", [(10, 11, 1), (10, -1, 1), (10, 5, 0), (10, 5, 11)])
def test_undefined(bad):
    with pytest.raises(ValueError, match="not defined"):
        pass_at_k(*bad)


def test_k_needs_k_samples_of_every_problem():
    assert supported_ks({"a": 4, "c": 2, "b": 4}, [1, 2, 3, 5]) == (
        [1, 2],
        {
            "pass@3": "1 of 3 problems have fewer samples; c has 2",
            "pass@5": "3 of 3 problems have fewer samples; c has 2",
        },
    )
    assert supported_ks({"b": 3, "a": 3}, [3]) == ([3], {})
    assert supported_ks({"b": 3, "a": 3}, [4]) == ([], {"pass@4": "2 of 2 problems have fewer samples; a has 3"})
