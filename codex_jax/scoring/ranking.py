"""Puts the samples of a problem in order, best first (paper sections 3.3 and 5)."""

import math
import zlib
from typing import Literal

import numpy as np

from codex_jax.errors import InputError
from codex_jax.storage.jsonl import Json

ByField = Literal["mean_logp", "sum_logp", "back_translation"]
By = ByField | Literal["random", "oracle"]
# The field of a sample whose highest value a ranking chooses.
RANKINGS: dict[ByField, str] = {
    "mean_logp": "mean_logp",
    "sum_logp": "sum_logp",
    "back_translation": "back_translation_logp",
}
HOW = {"back_translation": "rank it with --run CODEX_D first", "oracle": "give the results that codex_jax.score wrote"}


def is_number(value: object) -> bool:
    """Whether a field of a sample is a finite number."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def has_ranking(rows: list[Json], by: By) -> bool:
    """Whether all samples have the field that a ranking needs."""
    if by == "oracle":
        return all(isinstance(row.get("passed"), bool) for row in rows)
    return by == "random" or all(is_number(row.get(RANKINGS[by])) for row in rows)


def in_order(rows: list[Json], by: By, seed: int = 0) -> list[Json]:
    """The samples of one problem, best first; equal ones stay in their order. InputError if one lacks the field.

    by: "random" is a permutation that the seed and the problem decide; "oracle" puts samples that pass first.
    """
    if by == "random":
        order = np.random.default_rng([seed, zlib.crc32(rows[0]["task_id"].encode())]).permutation(len(rows))
        return [rows[n] for n in order]
    if not has_ranking(rows, by):
        field = "passed" if by == "oracle" else RANKINGS[by]
        how = HOW.get(by, "give samples that codex_jax.sample wrote")
        raise InputError(f"--by {by}: a sample of {rows[0]['task_id']!r} has no {field!r}: {how}")
    field = "passed" if by == "oracle" else RANKINGS[by]
    return sorted(rows, key=lambda row: row[field], reverse=True)


def best_of_weights(samples: int, n: int) -> np.ndarray:
    """float64 [samples]: the probability that each is the best of n samples that are drawn without replacement.

    samples: their number, in order, best first. The sample at index i is the best of C(samples - 1 - i, n - 1) of the
    C(samples, n) sets, so the weighted mean of the verdicts is the exact pass rate of the best of n.
    """
    index = np.arange(samples - 1)
    ratios = np.maximum(samples - index - n, 0) / (samples - 1 - index)
    return n / samples * np.concatenate([[1.0], np.cumprod(ratios)])
