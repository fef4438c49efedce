"""The best of n samples by each ranking, and BLEU of right and wrong samples."""

import itertools

import numpy as np
import pytest

from codex_jax.reporting.figures import draw_figures
from codex_jax.reporting.ranking_statistics import choice_summary
from codex_jax.reporting.statistics import summarize
from codex_jax.reporting.tables import model_tables


def results(seed=0, problems=5, samples=6, **fields):
    rng = np.random.default_rng(seed)
    return [
        {
            "task_id": f"t/{task}",
            "passed": bool(rng.random() < 0.4),
            "mean_logp": float(rng.normal()),
            "back_translation_logp": float(rng.normal()),
            **fields,
        }
        for task in range(problems)
        for _ in range(samples)
    ]


def test_it_is_the_mean_over_all_subsets():
    rows = results()
    found = choice_summary(rows)["best_of"]
    assert [*found] == ["random", "mean_logp", "back_translation", "oracle"]
    for n in range(1, 7):
        for name, field in (("mean_logp", "mean_logp"), ("back_translation", "back_translation_logp")):
            rates = []
            for task in range(5):
                of_task = rows[6 * task : 6 * task + 6]
                chosen = [max(subset, key=lambda row: row[field]) for subset in itertools.combinations(of_task, n)]
                rates.append(np.mean([row["passed"] for row in chosen]))
            assert found[name][str(n)] == pytest.approx(np.mean(rates))


def test_the_ends_are_the_measures_of_the_summary():
    rows = results()
    summary = {**summarize(rows, "x", ks=(1, 6)), **choice_summary(rows)}
    for name in summary["best_of"]:
        assert summary["best_of"][name]["1"] == pytest.approx(summary["pass@1"])
        assert summary["best_of"][name]["6"] == pytest.approx(summary[name])
    assert summary["best_of"]["oracle"]["6"] == pytest.approx(summary["pass@6"])


def test_the_intervals_resample_problems():
    found = choice_summary(results(problems=40))
    for name, rates in found["best_of"].items():
        for n, rate in rates.items():
            low, high = found["best_of_95"][name][n]
            assert low <= rate <= high
            assert high > low
    alike = [{**row, "passed": True} for row in results()]
    assert choice_summary(alike)["best_of_95"]["mean_logp"]["3"] == [1.0, 1.0]


def test_without_log_probabilities_or_with_one_sample_there_is_none():
    assert choice_summary([{"task_id": "a", "passed": True}] * 3) == {}
    assert choice_summary(results(samples=1)) == {}


def test_bleu():
    rows = [{**row, "bleu": 60.0 if row["passed"] else 20.0} for row in results()]
    found = choice_summary(rows)
    assert found["bleu"] == {"right": 60, "wrong": 20, "right_above_wrong": 1}
    assert found["bleu_histogram"]["right"]["60"] == found["bleu_histogram"]["wrong"]["20"] == 1
    same = choice_summary([{**row, "bleu": 100.0} for row in rows])
    assert same["bleu"]["right_above_wrong"] == 0.5
    assert same["bleu_histogram"]["right"]["95"] == 1
    assert "bleu" not in choice_summary([{**row, "bleu": 1.0, "passed": True} for row in rows])


def test_tables_and_figures():
    rows = [{**row, "bleu": 50.0} for row in results(samples=12)]
    models = {"codex": {**summarize(rows, "x", ks=(1,)), **choice_summary(rows)}}
    tables = dict(model_tables(models))
    table = tables["codex: the best of n samples, chosen by"]
    assert table[0] == ["n", "random", "mean log p", "back-translation", "oracle"]
    assert [row[0] for row in table[1:]] == ["1", "2", "5", "10"]
    assert tables["Mean BLEU"][1] == ["codex", "50.0", "50.0", "50.0%"]
    assert {"best_of", "bleu"} <= draw_figures(models).keys()
    assert {"best_of", "bleu"} <= draw_figures({"a": models["codex"], "b": models["codex"]}).keys()
