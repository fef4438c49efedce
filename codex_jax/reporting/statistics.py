"""What results amount to: pass@k, ways of choosing one sample, rates by group, each with a bootstrap interval.

Every measure is a mean over problems, so that its interval comes from problems drawn again.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.problems.task import PASSED, TIMED_OUT
from codex_jax.scoring.pass_at_k import pass_at_k
from codex_jax.storage.jsonl import Json

KS = (1, 10, 100)  # the paper's
RESAMPLES = 2000  # of the problems, for each interval
# Ways of choosing one sample a problem by the highest of a field (paper sections 3.3 and 5).
RANKINGS = {"mean_logp": "mean_logp", "sum_logp": "sum_logp", "back_translation": "back_translation_logp"}
PARTS = ("base", "challenge")  # with a pass@k of their own: a part of EvalPlus's tests, and MBPP's further ones

Rows = list[Json]  # of one problem


def summarize(rows: Rows, source: Path, blocks: dict[str, int] | None = None, ks: Sequence[int] = KS) -> Json:
    """The values of one results file, as fractions; blocks: task_id to block count where rows carry none.

    "intervals_95" holds [low, high] of each measure; "untold" says why a pass@k is not there.
    """
    by_task: dict[str, Rows] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("task_id"), str) or not isinstance(row.get("passed"), bool):
            raise InputError(f"{source}: result {number} lacks task_id or passed: write it with codex_jax.score")
        if not isinstance(row.get("parts", {}), dict):
            raise InputError(f"{source}: the parts of result {number} are no object: write it with codex_jax.score")
        by_task[row["task_id"]].append(row)
    if not by_task:
        raise InputError(f"{source} holds no results")
    tasks = list(by_task.values())
    values: Json = {"problems": len(tasks), "samples": len(rows), "passed": sum(row["passed"] for row in rows)}
    told, untold = supported(by_task, ks)
    measures = {**pass_rates(tasks, told), **rankings(tasks)}
    values |= {name: float(np.mean(rates)) for name, rates in measures.items()}
    values["intervals_95"] = {name: bootstrap(rates) for name, rates in measures.items()}
    if untold:
        values["untold"] = untold
    values |= _by_group(tasks, told)
    values |= _by_blocks(by_task, blocks or {})
    return values


def supported(by_task: dict[str, Rows], ks: Sequence[int]) -> tuple[list[int], dict[str, str]]:
    """(the k's that every problem has samples for, {"pass@k": why not} of the others)."""
    fewest, task_id = min((len(task), task_id) for task_id, task in by_task.items())
    untold = {}
    for k in ks:
        short = sum(len(task) < k for task in by_task.values())
        if short:
            untold[f"pass@{k}"] = f"{short} of {len(by_task)} problems have fewer samples; {task_id} has {fewest}"
    return [k for k in ks if k <= fewest], untold


def pass_rates(tasks: list[Rows], ks: Sequence[int]) -> dict[str, list[float]]:
    """pass@k by problem; of parts that are told by themselves too; and for APPS filtered, and with time-outs as passes.

    Filtered (paper section 3.5): of a problem's samples those are kept that pass the examples in its statement; of
    fewer than k all are taken, and where none is left the problem counts as not solved.
    """
    found: dict[str, list[float]] = {}
    for k in ks:
        found[f"pass@{k}"] = [_rate(task, k, _passed) for task in tasks]
    for part in PARTS:
        held = [task for task in tasks if all(part in row.get("parts", {}) for row in task)]
        for k in ks if held else ():
            found[f"{part}_pass@{k}"] = [_rate(task, k, partial(_passed_part, part)) for task in held]
    if all("examples" in row.get("parts", {}) for task in tasks for row in task):
        kept = [[row for row in task if row["parts"]["examples"] == PASSED] for task in tasks]
        for k in ks:
            found[f"pass@{k}_timeouts"] = [_rate(task, k, _passed_or_late) for task in tasks]
        for k in ks:
            found[f"filtered_pass@{k}"] = [_rate(task, k, _passed) for task in kept]
            found[f"filtered_pass@{k}_timeouts"] = [_rate(task, k, _passed_or_late) for task in kept]
    return found


def _passed(row: Json) -> bool:
    return row["passed"]


def _passed_part(part: str, row: Json) -> bool:
    return row["parts"][part] == PASSED


def _passed_or_late(row: Json) -> bool:
    return row["passed"] or row.get("result") == TIMED_OUT


def _rate(task: Rows, k: int, good: Callable[[Json], bool]) -> float:
    return pass_at_k(len(task), sum(map(good, task)), min(k, len(task))) if task else 0.0


def rankings(tasks: list[Rows]) -> dict[str, list[float]]:
    """Whether the one sample that is chosen passes, by problem: any at random, the first in a ranking, the oracle's."""
    found = {"random": [_rate(task, 1, _passed) for task in tasks]}
    for name, field in RANKINGS.items():
        if all(_finite(row.get(field)) for task in tasks for row in task):
            found[name] = [float(max(task, key=lambda row: row[field])["passed"]) for task in tasks]
    found["oracle"] = [float(any(map(_passed, task))) for task in tasks]
    return found


def _finite(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _by_group(tasks: list[Rows], ks: Sequence[int]) -> Json:
    groups: dict[str, list[Rows]] = defaultdict(list)
    for task in tasks:
        if isinstance(task[0].get("group"), str):
            groups[task[0]["group"]].append(task)
    rates = {group: pass_rates(held, ks) for group, held in groups.items()}
    means = {
        group: {"problems": len(groups[group]), **{name: float(np.mean(each)) for name, each in found.items()}}
        for group, found in rates.items()
    }
    return {"by_group": means} if means else {}


def _by_blocks(by_task: dict[str, Rows], blocks: dict[str, int]) -> Json:
    rates: dict[int, list[float]] = defaultdict(list)
    for task_id, task in by_task.items():
        length = task[0].get("blocks", blocks.get(task_id))
        if isinstance(length, list):
            length = len(length)
        if isinstance(length, int):
            rates[length].append(_rate(task, 1, _passed))
    if not rates:
        return {}
    return {
        "by_blocks": {str(k): float(np.mean(rates[k])) for k in sorted(rates)},
        "by_blocks_95": {str(k): bootstrap(rates[k]) for k in sorted(rates)},
    }


def bootstrap(rates: list[float]) -> list[float]:
    """[low, high]: the 95% interval of the mean over resampled problems, which are what varies."""
    draws = np.random.default_rng(0).choice(np.array(rates), (RESAMPLES, len(rates)))
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
    return [float(low), float(high)]


def by_problem(rows: Rows) -> dict[str, Json]:
    """task_id to samples, passed and timed out."""
    found: dict[str, Json] = {}
    for row in rows:
        counts = found.setdefault(row["task_id"], {"samples": 0, "passed": 0, "timed out": 0})
        counts["samples"] += 1
        counts["passed"] += row["passed"]
        counts["timed out"] += row.get("result") == TIMED_OUT
    return found


def best(models: dict[str, Json], ks: Sequence[int]) -> dict[str, Json]:
    """{"pass@k": {"value", "interval_95", "from"}}: for each k the best of several files' values, by name.

    The paper draws at several temperatures and reports for each k the best (section 3.3).
    """
    found: dict[str, Json] = {}
    for key in (f"pass@{k}" for k in ks):
        told = {name: values[key] for name, values in models.items() if key in values}
        if told:
            name = max(told, key=lambda each: told[each])
            found[key] = {"value": told[name], "interval_95": models[name]["intervals_95"][key], "from": name}
    return found
