"""Summaries of results: means over problems, with bootstrap intervals that resample the problems."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.problems.problem import PASSED, TIMED_OUT
from codex_jax.scoring.pass_at_k import KS, pass_at_k, supported_ks
from codex_jax.scoring.ranking import RANKINGS, has_ranking
from codex_jax.scoring.results import failing_references
from codex_jax.storage.jsonl import Json

RESAMPLES = 2000
REPORTED_SUITES = ("base", "challenge")  # suites with their own pass@k: EvalPlus's base and MBPP's challenge

Rows = list[Json]  # results of one problem
Measures = dict[str, list[float]]  # by name, one value per problem


def summarize(rows: Rows, source: Path, blocks: dict[str, int] | None = None, ks: Sequence[int] = KS) -> Json:
    """The measures of a results file, as fractions. blocks: numbers of blocks by task_id, for rows without them.

    "intervals_95" has each measure's [low, high]; "omitted", each skipped pass@k's reason; "failing_references", the
    results of reference solutions that do not pass. InputError for a bad row.
    """
    by_task: dict[str, Rows] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("task_id"), str) or not isinstance(row.get("passed"), bool):
            raise InputError(f"{source}: result {number} lacks task_id or passed: write it with codex_jax.score")
        if not isinstance(row.get("parts", {}), dict):
            raise InputError(f"{source}: 'parts' of result {number} is not an object: write it with codex_jax.score")
        by_task[row["task_id"]].append(row)
    if not by_task:
        raise InputError(f"{source} holds no results")
    tasks = list(by_task.values())
    supported, omitted = supported_ks({task_id: len(task) for task_id, task in by_task.items()}, ks)
    measures = pass_rates(tasks, supported) | rankings(tasks)
    failing = failing_references(rows)
    return {
        "problems": len(tasks),
        "samples": len(rows),
        "passed": sum(row["passed"] for row in rows),
        **_means(measures),
        "intervals_95": {name: bootstrap(values) for name, values in measures.items()},
        **({"omitted": omitted} if omitted else {}),
        **({"failing_references": failing} if failing else {}),
        **_prelude(rows),
        **_packages(rows),
        **_by_group(tasks, supported),
        **_by_blocks(by_task, blocks or {}),
    }


def pass_rates(tasks: list[Rows], ks: Sequence[int]) -> Measures:
    """pass@k overall and for REPORTED_SUITES; for APPS also filtered, and with timeouts counted as passes.

    Filtered (paper section 3.5): only samples that pass the statement's examples are counted. If fewer than k are left,
    all are taken; if none is left, the problem counts as not solved.
    """
    measures = {f"pass@{k}": [_rate(task, k) for task in tasks] for k in ks}
    for suite in REPORTED_SUITES:
        having = [task for task in tasks if all(suite in row.get("parts", {}) for row in task)]
        for k in ks if having else ():
            measures[f"{suite}_pass@{k}"] = [_rate(task, k, suite) for task in having]
    if all("examples" in row.get("parts", {}) for task in tasks for row in task):
        filtered = [[row for row in task if row["parts"]["examples"] == PASSED] for task in tasks]
        for k in ks:
            measures[f"pass@{k}_timeouts"] = [_rate(task, k, timeouts=True) for task in tasks]
        for k in ks:
            measures[f"filtered_pass@{k}"] = [_rate(task, k) for task in filtered]
            measures[f"filtered_pass@{k}_timeouts"] = [_rate(task, k, timeouts=True) for task in filtered]
    return measures


def _rate(task: Rows, k: int = 1, suite: str = "", timeouts: bool = False) -> float:
    """pass@k of one problem. suite: count samples that pass this suite; timeouts: count timeouts as passes."""
    if suite:
        correct = sum(row["parts"][suite] == PASSED for row in task)
    else:
        correct = sum(row["passed"] or (timeouts and row.get("result") == TIMED_OUT) for row in task)
    return pass_at_k(len(task), correct, min(k, len(task))) if task else 0.0


def rankings(tasks: list[Rows]) -> Measures:
    """Whether the sample chosen at random, by each ranking, or by an oracle passes. Random gives the expectation."""
    measures = {"random": [_rate(task) for task in tasks]}
    for name, field in RANKINGS.items():
        if all(has_ranking(task, name) for task in tasks):
            measures[name] = [float(max(task, key=lambda row: row[field])["passed"]) for task in tasks]
    return measures | {"oracle": [float(any(row["passed"] for row in task)) for task in tasks]}


def _means(measures: Measures) -> dict[str, float]:
    return {name: float(np.mean(values)) for name, values in measures.items()}


def _prelude(rows: Rows) -> Json:
    """Which names APPS's programs found defined, if the rows say so."""
    names = sorted({row["prelude"] for row in rows if row.get("prelude") in ("official", "none")})
    return {"prelude": ", ".join(names)} if names else {}


def _packages(rows: Rows) -> Json:
    """The installed packages that programs could import, if the rows name any."""
    lists = [row["packages"] for row in rows if isinstance(row.get("packages"), list)]
    names = sorted({name for names in lists for name in names if isinstance(name, str)})
    return {"packages": names} if names else {}


def _by_group(tasks: list[Rows], ks: Sequence[int]) -> Json:
    groups: dict[str, list[Rows]] = defaultdict(list)
    for task in tasks:
        if isinstance(task[0].get("group"), str):
            groups[task[0]["group"]].append(task)
    means = {group: {"problems": len(each), **_means(pass_rates(each, ks))} for group, each in groups.items()}
    return {"by_group": means} if means else {}


def _by_blocks(by_task: dict[str, Rows], blocks: dict[str, int]) -> Json:
    rates: dict[int, list[float]] = defaultdict(list)
    for task_id, task in by_task.items():
        count = task[0].get("blocks", blocks.get(task_id))
        if isinstance(count, int):
            rates[count].append(_rate(task))
    if not rates:
        return {}
    by_count = {str(count): rates[count] for count in sorted(rates)}
    return {"by_blocks": _means(by_count), "by_blocks_95": {k: bootstrap(values) for k, values in by_count.items()}}


def bootstrap(values: list[float]) -> list[float]:
    """[low, high]: the 95% percentile interval of the mean, from RESAMPLES resamples of the values."""
    resamples = np.random.default_rng(0).choice(np.array(values), (RESAMPLES, len(values)))
    low, high = np.quantile(resamples.mean(axis=1), [0.025, 0.975])
    return [float(low), float(high)]


def by_problem(rows: Rows) -> dict[str, Json]:
    """The numbers of "samples", "passed" samples and "timed out" samples, by task_id."""
    counts: dict[str, Json] = {}
    for row in rows:
        entry = counts.setdefault(row["task_id"], {"samples": 0, "passed": 0, "timed out": 0})
        entry["samples"] += 1
        entry["passed"] += row["passed"]
        entry["timed out"] += row.get("result") == TIMED_OUT
    return counts


def best(models: dict[str, Json], ks: Sequence[int]) -> dict[str, Json]:
    """{"pass@k": {"value", "interval_95", "from"}}: the best summary for each k, as the paper reports (section 3.3)."""
    entries: dict[str, Json] = {}
    for key in (f"pass@{k}" for k in ks):
        values = {name: summary[key] for name, summary in models.items() if key in summary}
        if values:
            name = max(values, key=lambda each: values[each])
            entries[key] = {"value": values[name], "interval_95": models[name]["intervals_95"][key], "from": name}
    return entries
