"""The curves of training runs."""

import math
from typing import Any

from matplotlib.figure import Figure

from codex_jax import terminal
from codex_jax.reporting.text_plot import points
from codex_jax.storage.jsonl import Json

# Metrics, each with its title and the names of the curves in it.
PANELS = (
    ("loss (nats per token)", ("loss", "validation_loss")),
    ("learning rate", ("learning_rate",)),
    ("norm of the gradients", ("gradient_norm",)),
    ("update / parameters", ("update_ratio",)),
    ("tokens per second", ("tokens_per_second",)),
    ("goodput: share of the time in steps", ("goodput",)),
    ("pass@k", ("pass@1", "pass@10", "pass@100")),
)


def draw_curves(runs: dict[str, list[Json]]) -> Figure | None:
    """A panel for each metric, with a curve for each run; None if there are no metrics."""
    panels = [panel for panel in PANELS if any(points(rows, name) for rows in runs.values() for name in panel[1])]
    if not panels:
        return None
    across = min(2, len(panels))
    figure = Figure(figsize=(5.5 * across, 3.2 * math.ceil(len(panels) / across)), layout="constrained")
    grid: list[Any] = list(figure.subplots(math.ceil(len(panels) / across), across, squeeze=False).flat)
    for axes, (title, names) in zip(grid, panels, strict=False):
        for run, rows in runs.items():
            for name in names:
                found = points(rows, name)
                if found:
                    label = terminal.plain(f"{run} {name}" if len(names) > 1 else run)
                    marker = "o" if len(found) < 20 and name != "loss" else ""
                    axes.plot(*zip(*found, strict=True), marker=marker, markersize=3, linewidth=1.2, label=label)
        axes.set_title(title, fontsize=10)
        axes.set_xlabel("step")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    return figure
