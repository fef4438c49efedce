"""The values of a summary as tables, which score prints and report prints and writes."""

from collections.abc import Iterable

from codex_jax.reporting.statistics import RESAMPLES
from codex_jax.storage.jsonl import Json

Table = tuple[str, list[list[str]]]  # title, rows with the header first
RANKED = {
    "random": "random",
    "mean_logp": "mean log p",
    "sum_logp": "sum log p",
    "back_translation": "back-translation",
    "oracle": "oracle",
}
NOTE = f"In brackets: the 95% interval of {RESAMPLES:,} resamples of the problems."


def percent(value: float | None, interval: list[float] | None = None) -> str:
    """0.1234 as 12.3%, with its interval where there is one."""
    if value is None:
        return ""
    ends = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
    return f"{100 * value:.1f}%{ends}"


def told(values: Json, name: str) -> str:
    """A measure's cell."""
    return percent(values.get(name), values.get("intervals_95", {}).get(name))


def pass_rates(models: dict[str, Json]) -> list[Table]:
    """pass@k by model; for APPS raw and filtered, with time-outs as passes in a column of their own."""
    kinds = {
        "": "Pass rates",
        "base_": "Pass rates of the base tests alone",
        "challenge_": "Pass rates of the further tests",
        "filtered_": "Pass rates of the samples that pass the examples in the statement",
    }
    found = []
    for prefix, title in kinds.items():
        names = _in_order(key for values in models.values() for key in values if key.startswith(f"{prefix}pass@"))
        if names:
            shown = [name.removeprefix(prefix).replace("_timeouts", " with time-outs") for name in names]
            rows = [[model, *(told(values, name) for name in names)] for model, values in models.items()]
            found.append((title, [["model", *shown], *rows]))
    return found


def rankings(models: dict[str, Json]) -> list[Table]:
    """Which share of the problems one sample of each solves, by the way that it is chosen."""
    names = [name for name in RANKED if any(name in values for values in models.values())]
    rows = [[RANKED[name], *(told(values, name) for values in models.values())] for name in names]
    return [("One sample a problem, chosen by", [["", *models], *rows])] if rows else []


def groups(models: dict[str, Json]) -> list[Table]:
    """pass@k by difficulty, as in the paper's table of APPS: the value with time-outs as passes behind each."""
    found = []
    for model, values in models.items():
        held: dict[str, Json] = values.get("by_group", {})
        names = _in_order(key for each in held.values() for key in each if "pass@" in key and "timeouts" not in key)
        rows = []
        for name in names:
            label = name.replace("filtered_", "filtered ") if name.startswith("filtered_") else f"raw {name}"
            cells = (f"{percent(each.get(name))} ({percent(each.get(f'{name}_timeouts'))})" for each in held.values())
            rows.append([label, *cells])
        if rows:
            header = [f"{group}, {each['problems']} problems" for group, each in held.items()]
            found.append((f"{model} by difficulty (with time-outs as passes)", [["", *header], *rows]))
    return found


def blocks(models: dict[str, Json]) -> list[Table]:
    """pass@1 by the number of chained building blocks."""
    counted = {name: values for name, values in models.items() if values.get("by_blocks")}
    lengths = sorted({int(k) for values in counted.values() for k in values["by_blocks"]})
    rows = [[str(k), *(percent(values["by_blocks"].get(str(k))) for values in counted.values())] for k in lengths]
    return [("pass@1 by number of chained blocks", [["blocks", *counted], *rows])] if rows else []


def best(found: dict[str, Json]) -> list[Table]:
    """For each k the best of several files."""
    rows = [[key, percent(entry["value"], entry["interval_95"]), entry["from"]] for key, entry in found.items()]
    return [("Best of the files", [["", "value", "from"], *rows])] if rows else []


def problems(counts: dict[str, Json]) -> list[Table]:
    """One row a problem."""
    rows = [
        [
            task_id,
            *(str(each[key]) for key in ("samples", "passed", "timed out")),
            percent(each["passed"] / each["samples"]),
        ]
        for task_id, each in counts.items()
    ]
    return [("By problem", [["problem", "samples", "passed", "timed out", "pass@1"], *rows])]


def _in_order(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))


def of_models(models: dict[str, Json]) -> list[Table]:
    """All that summaries hold."""
    return [*pass_rates(models), *rankings(models), *groups(models), *blocks(models)]
