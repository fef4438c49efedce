from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.errors import InputError
from codex_jax.reporting.statistics import best, bootstrap, by_problem, summarize
from codex_jax.scoring.pass_at_k import pass_at_k

WHERE = Path("r.jsonl")


def rows(task_id, verdicts, **fields):
    """The results of one problem. fields: one value per sample."""
    return [
        {
            "task_id": task_id,
            "completion": "",
            "passed": verdict,
            **{name: values[n] for name, values in fields.items()},
        }
        for n, verdict in enumerate(verdicts)
    ]


def test_pass_at_k_and_omitted_ks():
    results = rows("a", [True, False, False, False]) + rows("b", [True, True, False, False]) + rows("c", [False, False])
    values = summarize(results, WHERE, ks=(1, 2, 3, 5))
    assert (values["problems"], values["samples"], values["passed"]) == (3, 10, 3)
    assert values["pass@1"] == pytest.approx((1 / 4 + 2 / 4 + 0) / 3)
    assert values["pass@2"] == pytest.approx((1 - 3 / 6 + 1 - 1 / 6 + 0) / 3)
    assert {"pass@3", "pass@5"}.isdisjoint(values)
    assert values["omitted"] == {
        "pass@3": "1 of 3 problems have fewer samples; c has 2",
        "pass@5": "3 of 3 problems have fewer samples; c has 2",
    }
    assert "omitted" not in summarize(results, WHERE, ks=(1, 2))


def test_rankings_choose_one_sample_per_problem():
    results = rows(
        "a", [True, False, False, False],
        mean_logp=[-0.1, -1, -1, -1], sum_logp=[-9, -1, -2, -3], back_translation_logp=[-5, -2, -3, -4],
    ) + rows(
        "b", [False, True, True, False],
        mean_logp=[-1, -0.2, -1, -1], sum_logp=[-4, -5, -1, -9], back_translation_logp=[-9, -8, -7, -6],
    ) + rows(
        "c", [False, False],
        mean_logp=[-1, -2], sum_logp=[-1, -2], back_translation_logp=[-1, -2],
    )  # fmt: skip
    values = summarize(results, WHERE, ks=(1,))
    assert values["random"] == values["pass@1"] == pytest.approx((1 / 4 + 2 / 4 + 0) / 3)
    assert values["mean_logp"] == pytest.approx(2 / 3)
    assert values["sum_logp"] == pytest.approx(1 / 3)
    assert values["back_translation"] == 0
    assert values["oracle"] == pytest.approx(2 / 3)
    for name in ("pass@1", "random", "mean_logp", "sum_logp", "back_translation", "oracle"):
        low, high = values["intervals_95"][name]
        assert 0 <= low <= values[name] <= high <= 1
    results[0].pop("mean_logp")
    results[1]["sum_logp"] = float("nan")
    values = summarize(results, WHERE)
    assert {"mean_logp", "sum_logp"}.isdisjoint(values)
    assert "back_translation" in values


def test_base_tests_have_rates_of_their_own():
    passed, failed = {"base": "passed", "plus": "passed"}, {"base": "passed", "plus": "failed: X"}
    results = rows("a", [True, False], parts=[passed, failed])
    results += rows("b", [False, False], parts=[failed, {"base": "failed: X", "plus": "passed"}])
    values = summarize(results, WHERE, ks=(1, 2))
    assert (values["pass@1"], values["base_pass@1"]) == (0.25, 0.75)
    assert (values["pass@2"], values["base_pass@2"]) == (0.5, 1)
    assert not [key for key in values if key.startswith(("filtered", "challenge")) or "timeouts" in key]


def test_a_suite_that_only_some_problems_have_is_reported_for_those():
    results = rows("a", [True, True], parts=[{"test": "passed", "challenge": each} for each in ("passed", "failed: X")])
    values = summarize(results + rows("b", [False, False]), WHERE, ks=(1,))
    assert (values["pass@1"], values["challenge_pass@1"]) == (0.5, 0.5)


def contest(task_id, group, *samples):
    """Results of APPS: each sample (result, whether it passes the examples)."""
    return [
        {
            "task_id": task_id,
            "group": group,
            "result": result,
            "passed": result == "passed",
            "parts": {"examples": "passed" if shown else "failed: X", "test": result if shown else "not run"},
        }
        for result, shown in samples
    ]


def test_apps_raw_and_filtered_with_and_without_timeouts():
    wrong, late, right = "failed: X", "timed out", "passed"
    results = contest("a", "interview", (right, True), (wrong, True), (wrong, False), (wrong, False))
    results += contest("b", "interview", (late, True), (wrong, False), (wrong, False), (wrong, False))
    results += contest("c", "competition", (wrong, False), (wrong, False), (wrong, False), (wrong, False))
    values = summarize(results, WHERE, ks=(1, 2))
    assert values["pass@1"] == pytest.approx((1 / 4 + 0 + 0) / 3)
    assert values["pass@1_timeouts"] == pytest.approx((1 / 4 + 1 / 4 + 0) / 3)
    assert values["filtered_pass@1"] == pytest.approx((1 / 2 + 0 + 0) / 3)
    assert values["filtered_pass@1_timeouts"] == pytest.approx((1 / 2 + 1 + 0) / 3)
    assert values["filtered_pass@2"] == pytest.approx((1 + 0 + 0) / 3)
    assert values["filtered_pass@2_timeouts"] == pytest.approx((1 + 1 + 0) / 3)  # one sample is left, so k is 1
    assert values["by_group"]["interview"]["problems"] == 2
    assert values["by_group"]["interview"]["pass@1"] == pytest.approx(1 / 8)
    assert values["by_group"]["interview"]["filtered_pass@1_timeouts"] == pytest.approx(3 / 4)
    assert values["by_group"]["competition"]["filtered_pass@2"] == 0


def test_packages_that_programs_could_import():
    assert "packages" not in summarize(rows("a", [True]), WHERE)
    results = rows("a", [True, False], packages=[["numpy"], ["sympy", "numpy"]])
    assert summarize(results, WHERE)["packages"] == ["numpy", "sympy"]
    for bad in ("numpy", [1, None], {"a": 1}):
        assert "packages" not in summarize(rows("a", [True], packages=[bad]), WHERE)


def test_by_problem():
    results = rows("a", [True, False], result=["passed", "timed out"]) + rows("b", [False], result=["failed: X"])
    assert by_problem(results) == {
        "a": {"samples": 2, "passed": 1, "timed out": 1},
        "b": {"samples": 1, "passed": 0, "timed out": 0},
    }


def test_the_best_of_several_for_each_k():
    cold = summarize(rows("a", [True] * 4) + rows("b", [False] * 4), WHERE, ks=(1, 4))
    hot = summarize(rows("a", [True, False] * 2) + rows("b", [True] + [False] * 3), WHERE, ks=(1, 4, 5))
    found = best({"T 0.2": cold, "T 0.8": hot}, (1, 4, 5))
    assert {key: (entry["value"], entry["from"]) for key, entry in found.items()} == {
        "pass@1": (0.5, "T 0.2"),
        "pass@4": (1.0, "T 0.8"),
    }
    assert found["pass@1"]["interval_95"] == cold["intervals_95"]["pass@1"]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_an_interval_is_reproducible_and_inside_the_range(rates):
    low, high = bootstrap(rates)
    assert [low, high] == bootstrap(rates)
    assert min(rates) - 1e-9 <= low <= high <= max(rates) + 1e-9


@pytest.mark.parametrize(("passed", "problems"), [(100, 400), (40, 164), (500, 1000)])
def test_an_interval_is_the_binomial_one_for_passes_and_failures(passed, problems):
    # A resample of `passed` ones among `problems` values is a binomial number of ones.
    low, high = scipy.stats.binom.ppf([0.025, 0.975], problems, passed / problems) / problems
    values = [1.0] * passed + [0.0] * (problems - passed)
    assert bootstrap(values) == pytest.approx([low, high], abs=1.5 / problems)  # the 90% interval is 3 to 6 away


def test_an_interval_is_scipy_s():
    values = np.random.default_rng(3).random(37)
    options = {"n_resamples": 2000, "confidence_level": 0.95, "method": "percentile"}
    expected = scipy.stats.bootstrap((values,), np.mean, rng=np.random.default_rng(0), **options).confidence_interval
    assert bootstrap(list(values)) == pytest.approx(list(expected), abs=0.005)
    assert bootstrap([0.25]) == [0.25, 0.25]
    assert bootstrap([1.0] * 3 + [0.0] * 7) == [0.0, 0.6]


def test_an_interval_covers_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(200):
        low, high = bootstrap(list((rng.random(60) < 0.4).astype(float)))
        covered += low <= 0.4 <= high
    assert 183 <= covered <= 197  # 95% of 200 is 190; its standard deviation is 3


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=8), st.integers(1, 60))
def test_values_are_means_of_the_estimator(counts, k):
    counts = [(n, min(c, n)) for n, c in counts]
    results = [row for t, (n, c) in enumerate(counts) for row in rows(f"t{t}", [True] * c + [False] * (n - c))]
    values = summarize(results, WHERE, ks=(k,))
    if min(n for n, _ in counts) >= k:
        assert values[f"pass@{k}"] == pytest.approx(np.mean([pass_at_k(n, c, k) for n, c in counts]), abs=1e-12)
    else:
        assert f"pass@{k}" in values["omitted"]


@pytest.mark.parametrize(
    "row", [{}, {"task_id": "a"}, {"task_id": "a", "passed": "yes"}, {"task_id": "a", "passed": True, "parts": 3}]
)
def test_rows_that_are_not_results(row):
    with pytest.raises(InputError, match=r"r\.jsonl"):
        summarize([row], WHERE)
    with pytest.raises(InputError, match="no results"):
        summarize([], WHERE)
