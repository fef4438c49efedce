"""What results amount to: pass@k, one sample picked by its log probability, and pass rate by chained blocks."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codex_jax.benchmarks.pass_at_k import mean_pass_at_k
from codex_jax.errors import InputError
from codex_jax.jsonl import Json

KS = (1, 10, 100)  # the paper's
RESAMPLES = 2000  # bootstrap resamples of the problems of one block count


def summarize(rows: list[Json], source: Path, blocks: dict[str, int] | None = None, ks: Sequence[int] = KS) -> Json:
    """The values of one results file, as fractions; blocks: task_id to block count where rows carry none."""
    by_task: dict[str, list[Json]] = defaultdict(list)
    for number, row in enumerate(rows, 1):
        if not isinstance(row.get("task_id"), str) or not isinstance(row.get("passed"), bool):
            raise InputError(f"{source}: result {number} lacks task_id or passed: write it with codex_jax.score")
        by_task[row["task_id"]].append(row)
    if not by_task:
        raise InputError(f"{source} holds no results")
    counts = [(len(task), sum(row["passed"] for row in task)) for task in by_task.values()]
    values: Json = {"problems": len(by_task), "samples": len(rows)}
    for k in ks:
        if min(n for n, _ in counts) >= k:
            values[f"pass@{k}"] = mean_pass_at_k(counts, k)
    for key in ("mean_logp", "sum_logp"):
        if all(isinstance(row.get(key), (int, float)) for row in rows):
            picks = [max(task, key=lambda row: row[key]) for task in by_task.values()]
            values[key] = float(np.mean([pick["passed"] for pick in picks]))
    values["oracle"] = float(np.mean([c > 0 for _, c in counts]))

    rates: dict[int, list[float]] = defaultdict(list)
    for (task_id, task), (n, c) in zip(by_task.items(), counts, strict=True):
        length = task[0].get("blocks", (blocks or {}).get(task_id))
        if isinstance(length, list):
            length = len(length)
        if isinstance(length, int):
            rates[length].append(c / n)
    if rates:
        values["by_blocks"] = {str(k): float(np.mean(rates[k])) for k in sorted(rates)}
        values["by_blocks_95"] = {str(k): bootstrap(rates[k]) for k in sorted(rates)}
    return values


def bootstrap(rates: list[float]) -> list[float]:
    """[low, high]: the 95% interval of the mean over resampled problems, which are what varies."""
    draws = np.random.default_rng(0).choice(np.array(rates), (RESAMPLES, len(rates)))
    low, high = np.quantile(draws.mean(axis=1), [0.025, 0.975])
    return [float(low), float(high)]
