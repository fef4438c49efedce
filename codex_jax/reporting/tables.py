"""Tables of summaries, for score and report."""

import re

from codex_jax import terminal
from codex_jax.reporting.statistics import RESAMPLES
from codex_jax.storage.jsonl import Json

Table = tuple[str, list[list[str]]]  # title, rows; the first row is the header
RANKING_LABELS = {
    "random": "random",
    "mean_logp": "mean log p",
    "sum_logp": "sum log p",
    "back_translation": "back-translation",
    "oracle": "oracle",
}
SHOWN_N = (1, 2, 5, 10, 20, 50, 100)
RATE_TITLES = {
    "": "Pass rates",
    "base_": "Pass rates of the base tests alone",
    "challenge_": "Pass rates of the further tests",
    "filtered_": "Pass rates of the samples that pass the examples in the statement",
}
NOTE = f"In brackets: the 95% interval from {RESAMPLES:,} resamples of the problems."


def model_tables(models: dict[str, Json]) -> list[Table]:
    """All nonempty tables of summaries by model."""
    tables = [*pass_rates(models), rankings(models), *best_of(models), bleu(models), *groups(models), blocks(models)]
    return [(title, rows) for title, rows in tables if len(rows) > 1]


def percent(value: float | None, interval: list[float] | None = None) -> str:
    """Formats 0.1234 as 12.3%, with the interval if given; "" for None."""
    if value is None:
        return ""
    ends = f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else ""
    return f"{100 * value:.1f}%{ends}"


def measure(summary: Json, name: str) -> str:
    """Formats a measure's value and interval."""
    return percent(summary.get(name), summary.get("intervals_95", {}).get(name))


def pass_rates(models: dict[str, Json]) -> list[Table]:
    """pass@k by model; for APPS raw and filtered, and with timeouts as passes."""
    tables = []
    for prefix, title in RATE_TITLES.items():
        names = list(dict.fromkeys(key for each in models.values() for key in each if key.startswith(f"{prefix}pass@")))
        header = [name.removeprefix(prefix).replace("_timeouts", " with timeouts") for name in names]
        rows = [[model, *(measure(summary, name) for name in names)] for model, summary in models.items() if names]
        tables.append((title, [["model", *header], *rows]))
    return tables


def rankings(models: dict[str, Json]) -> Table:
    """The share of problems solved by one sample each, by how it is chosen."""
    names = [name for name in RANKING_LABELS if any(name in summary for summary in models.values())]
    rows = [[RANKING_LABELS[name], *(measure(summary, name) for summary in models.values())] for name in names]
    return "One sample per problem, chosen by", [["", *models], *rows]


def best_of(models: dict[str, Json]) -> list[Table]:
    """The pass rate of the sample that each ranking chooses of n, for some n."""
    tables = []
    for model, summary in models.items():
        rates: dict[str, Json] = summary.get("best_of", {})
        intervals: dict[str, Json] = summary.get("best_of_95", {})
        names = [name for name in RANKING_LABELS if name in rates]
        rows = [["n", *(RANKING_LABELS[name] for name in names)]]
        for n in map(str, SHOWN_N) if names else ():
            cells = [percent(rates[name].get(n), intervals.get(name, {}).get(n)) for name in names]
            rows += [[n, *cells]] if any(cells) else []
        tables.append((f"{model}: the best of n samples, chosen by", rows))
    return tables


def bleu(models: dict[str, Json]) -> Table:
    """BLEU of right and of wrong samples."""
    found = {model: summary["bleu"] for model, summary in models.items() if summary.get("bleu")}
    rows = [[m, f"{b['right']:.1f}", f"{b['wrong']:.1f}", percent(b["right_above_wrong"])] for m, b in found.items()]
    return "Mean BLEU", [["model", "right samples", "wrong samples", "a right one's is above a wrong one's"], *rows]


def groups(models: dict[str, Json]) -> list[Table]:
    """pass@k by difficulty, as in the paper's APPS table; values in brackets count timeouts as passes."""
    tables = []
    for model, summary in models.items():
        by_group: dict[str, Json] = summary.get("by_group", {})
        rows = [["", *(f"{group}, {each['problems']} problems" for group, each in by_group.items())]]
        for name in dict.fromkeys(key for each in by_group.values() for key in each if "pass@" in key):
            if not name.endswith("_timeouts"):
                label = name.replace("filtered_", "filtered ") if name.startswith("filtered_") else f"raw {name}"
                pairs = [(each.get(name), each.get(f"{name}_timeouts")) for each in by_group.values()]
                rows.append([label, *(f"{percent(rate)} ({percent(with_timeouts)})" for rate, with_timeouts in pairs)])
        prelude = f"prelude {summary['prelude']}; " if "prelude" in summary else ""
        tables.append((f"{model} by difficulty ({prelude}with timeouts as passes)", rows))
    return tables


def blocks(models: dict[str, Json]) -> Table:
    """pass@1 by the number of chained building blocks."""
    by_model = {model: summary["by_blocks"] for model, summary in models.items() if summary.get("by_blocks")}
    counts = sorted({int(count) for rates in by_model.values() for count in rates})
    rows = [[str(count), *(percent(rates.get(str(count))) for rates in by_model.values())] for count in counts]
    return "pass@1 by number of chained blocks", [["blocks", *by_model], *rows]


def best_of_files(entries: dict[str, Json]) -> Table:
    """The best of several temperatures for each k, from statistics.best."""
    rows = [[key, percent(entry["value"], entry["interval_95"]), entry["from"]] for key, entry in entries.items()]
    return "Best of the files", [["", "value", "from"], *rows]


def by_problem(counts: dict[str, Json]) -> Table:
    """One row per problem, from statistics.by_problem."""
    names = ("samples", "passed", "timed out")
    rows = [
        [task_id, *(str(each[name]) for name in names), percent(each["passed"] / each["samples"])]
        for task_id, each in counts.items()
    ]
    return "By problem", [["problem", *names, "pass@1"], *rows]


def run_tables(results: Json) -> list[Table]:
    """The tables of results.json's "bits_per_byte" and "seconds"."""
    tables = []
    if results.get("bits_per_byte"):
        ends = ("before", "after")
        cells = [f"{results['bits_per_byte'][name]:.3f}" for name in ends]
        tables.append(("Validation bits per byte of pretraining", [list(ends), cells]))
    if results.get("seconds"):
        rows = [[stage, f"{seconds:.0f}"] for stage, seconds in results["seconds"].items()]
        tables.append(("Time", [["stage", "seconds"], *rows]))
    return tables


def markdown(tables: list[Table]) -> str:
    """The tables in Markdown, each below a heading; names from files appear as they are."""
    sections = []
    for title, (header, *rows) in tables:
        shown = [[_escaped(cell) for cell in row] for row in [header, *rows]]
        shown.insert(1, ["---"] * len(header))
        lines = ["| " + " | ".join(cells) + " |" for cells in shown]
        sections.append(f"## {_escaped(title)}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(sections)


def _escaped(text: str) -> str:
    """Text as Markdown that shows it: without markup, HTML, formulas and links."""
    marked = re.sub(r"[\\`*_\[\]|~]", r"\\\g<0>", terminal.plain(text))
    return re.sub(r"[<>&$]|:(?=//)|\.(?<=www\.)", lambda found: f"&#{ord(found[0])};", marked)
