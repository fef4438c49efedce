"""The figure of what a command of codex_jax.problems found, kept and dropped."""

import matplotlib
from matplotlib.figure import Figure

from codex_jax import terminal
from codex_jax.reporting.figures import COLOURS
from codex_jax.storage.jsonl import Json

SHOWN = 9  # reasons that are shown; the others are summed up
ROW, REST, WIDTH = 0.28, 1.6, 9.0  # inches
KEPT = COLOURS[2]


def draw_funnel(report: Json, title: str) -> Figure:
    """A bar per group, such as a package, or one for all: how many were kept, and how many dropped for each reason.

    report: what Funnel.report returns.
    """
    groups = report.get("groups") or {"all": report}
    shown = [*report["dropped"]][:SHOWN]
    others = len(report["dropped"]) > SHOWN
    names = [*groups]
    figure = Figure(figsize=(WIDTH, REST + ROW * max(len(names), len(shown) + 2)), layout="constrained")
    axes = figure.subplots()
    parts = {f"kept ({report['kept']:,})": [groups[name]["kept"] for name in names]}
    for reason in shown:
        label = f"{reason.replace('_', ' ')} ({report['dropped'][reason]:,})"
        parts[label] = [groups[name]["dropped"].get(reason, 0) for name in names]
    if others:
        rest = [sum(n for reason, n in groups[name]["dropped"].items() if reason not in shown) for name in names]
        parts[f"other reasons ({sum(rest):,})"] = rest
    palette = [KEPT, *matplotlib.colormaps["tab20c"].colors[: len(shown)], "#d9d9d9"]  # type: ignore[attr-defined]
    left = [0] * len(names)
    for (label, counts), colour in zip(parts.items(), palette, strict=False):
        axes.barh([terminal.plain(name) for name in names], counts, left=left, color=colour, label=label, height=0.75)
        left = [before + count for before, count in zip(left, counts, strict=True)]
    for row, name in enumerate(names):
        axes.annotate(
            f" {groups[name]['kept']:,} of {groups[name]['found']:,}", (left[row], row), va="center", fontsize=8
        )
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("candidates")
    axes.set_title(title)
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
