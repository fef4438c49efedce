"""How well rankings choose: the pass rate of the best of n samples; and how BLEU differs between right and wrong."""

from collections import defaultdict
from functools import lru_cache

import numpy as np

from codex_jax.reporting.statistics import RESAMPLES
from codex_jax.scoring.ranking import RANKINGS, By, best_of_weights, has_ranking, in_order, is_number
from codex_jax.storage.jsonl import Json

MAX_N = 100  # samples to choose from
BINS = 20  # of the histogram of BLEU, from 0 to 100


def choice_summary(rows: list[Json]) -> Json:
    """The measures of results whose samples can be ranked: best_of and bleu_of."""
    by_task: dict[str, list[Json]] = defaultdict(list)
    for row in rows:
        by_task[row["task_id"]].append(row)
    return {**best_of([*by_task.values()]), **bleu_of(rows)}


def best_of(tasks: list[list[Json]]) -> Json:
    """{"best_of": {ranking: {n: pass rate}}, "best_of_95": {ranking: {n: [low, high]}}}; {} without log probabilities.

    The mean over problems of the pass rate of the sample that the ranking puts first among n samples drawn without
    replacement, which is exact. The intervals resample the problems.
    """
    names = [name for name in RANKINGS if all(has_ranking(task, name) for task in tasks)]
    largest = min(MAX_N, *(len(task) for task in tasks))
    if not names or largest < 2:
        return {}
    ns = range(1, largest + 1)
    chosen = np.random.default_rng(0).multinomial(len(tasks), np.full(len(tasks), 1 / len(tasks)), RESAMPLES)
    rates: Json = {}
    intervals: Json = {}
    every: tuple[By, ...] = ("random", *names, "oracle")
    for name in every:
        values = np.stack([_task_rates(task, name, largest) for task in tasks])
        low, high = np.quantile(chosen @ values / len(tasks), [0.025, 0.975], axis=0)
        rates[name] = {str(n): float(value) for n, value in zip(ns, values.mean(axis=0), strict=True)}
        intervals[name] = {str(n): [float(a), float(b)] for n, a, b in zip(ns, low, high, strict=True)}
    return {"best_of": rates, "best_of_95": intervals}


def _task_rates(task: list[Json], name: By, largest: int) -> np.ndarray:
    if name == "random":
        return np.full(largest, np.mean([row["passed"] for row in task]))
    order = in_order(task, name)
    return _weights(len(task), largest) @ np.array([row["passed"] for row in order], float)


@lru_cache
def _weights(samples: int, largest: int) -> np.ndarray:
    return np.stack([best_of_weights(samples, n) for n in range(1, largest + 1)])


def bleu_of(rows: list[Json]) -> Json:
    """{"bleu": means, and the chance that a right sample's is above a wrong one's; "bleu_histogram": shares}, or {}."""
    if not all(is_number(row.get("bleu")) for row in rows):
        return {}
    right = np.array([row["bleu"] for row in rows if row["passed"]])
    wrong = np.sort([row["bleu"] for row in rows if not row["passed"]])
    if not len(right) or not len(wrong):
        return {}
    below, upto = np.searchsorted(wrong, right, "left"), np.searchsorted(wrong, right, "right")
    above = float((below + upto).mean() / 2 / len(wrong))
    shares = {"right": _histogram(right), "wrong": _histogram(wrong)}
    means = {"right": float(right.mean()), "wrong": float(wrong.mean()), "right_above_wrong": above}
    return {"bleu": means, "bleu_histogram": shares}


def _histogram(values: np.ndarray) -> dict[str, float]:
    """The share of the values in each bin, by the bin's lower edge."""
    counts, edges = np.histogram(np.minimum(values, 100), BINS, (0, 100))
    return {f"{edge:g}": float(count / len(values)) for edge, count in zip(edges[:-1], counts, strict=True)}
