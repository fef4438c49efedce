"""The report's figures: the paper's headline values in small, ways of choosing a sample, pass rate against blocks."""

import os
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from codex_jax.reporting.tables import RANKED

COLOURS = ("#8c96a3", "#1f6fb4", "#2a9d6f", "#d98324", "#b5379a")
# Fixed, so that the same results give the same SVG.
matplotlib.rcParams.update({"svg.hashsalt": "codex_jax", "font.size": 10})


def headline_bars(models: dict[str, dict[str, Any]]) -> list[tuple[str, float]]:
    """(label, fraction) from left to right: the base's pass@1, then the tuned model's ways of choosing."""
    bars = []
    tuned = [name for name in models if name != "base"]
    if "base" in models:
        bars.append(("base\npass@1", models["base"]["pass@1"]))
    for name in tuned or ["base"]:
        steps = {"pass@1": "pass@1", "mean_logp": "mean log p", "pass@10": "pass@10", "oracle": "oracle"}
        for key, label in steps.items():
            if key in models[name] and (name, key) != ("base", "pass@1"):
                bars.append((f"{name}\n{label}", models[name][key]))
    return bars


def headline_figure(models: dict[str, dict[str, Any]]) -> Figure:
    """The paper's headline figure in small: one bar for each way of choosing among samples."""
    bars = headline_bars(models)
    figure = Figure(figsize=(max(5.0, 1.4 * len(bars)), 4.2), layout="constrained")
    axes = figure.subplots()
    colours = [COLOURS[min(n, len(COLOURS) - 1)] for n in range(len(bars))]
    drawn = axes.bar([label for label, _ in bars], [100 * value for _, value in bars], color=colours, width=0.65)
    axes.bar_label(drawn, [f"{100 * value:.1f}%" for _, value in bars], padding=3, fontweight="bold")
    axes.set_ylim(0, 108)  # room for a label above 100%
    axes.set_title("Problems solved, by model and way of choosing a sample")
    finish(axes)
    return figure


def blocks_figure(models: dict[str, dict[str, Any]]) -> Figure | None:
    """Pass rate against the number of chained blocks, with 95% intervals; None where no result has blocks."""
    counted = {name: entry for name, entry in models.items() if entry.get("by_blocks")}
    if not counted:
        return None
    figure = Figure(figsize=(6.0, 4.2), layout="constrained")
    axes = figure.subplots()
    lengths: set[int] = set()
    for n, (name, entry) in enumerate(counted.items()):
        x = sorted(int(k) for k in entry["by_blocks"])
        y = [100 * entry["by_blocks"][str(k)] for k in x]
        intervals = entry.get("by_blocks_95", {})
        ends = [intervals.get(str(k), [value / 100] * 2) for k, value in zip(x, y, strict=True)]
        colour = COLOURS[n % len(COLOURS)]
        axes.errorbar(x, y, yerr=_arms(y, ends), fmt="o-", capsize=4, color=colour, label=name)
        lengths.update(x)
        if name != "base" and x[0] == 1 and len(x) > 1:
            third, half = ([y[0] / factor ** (k - 1) for k in x] for factor in (3, 2))
            axes.fill_between(x, third, half, color=colour, alpha=0.12, label="paper: 2 to 3 times less a block")
    axes.set_xticks(sorted(lengths))
    axes.set_ylim(-2, 105)
    axes.set_xlabel("chained building blocks")
    axes.set_title("pass@1 against the number of chained blocks")
    axes.legend(frameon=False)
    finish(axes)
    return figure


def rankings_figure(models: dict[str, dict[str, Any]]) -> Figure | None:
    """Problems solved by one sample each, by the way that it is chosen; None where no result has log probabilities."""
    names = [name for name in RANKED if any(name in entry for entry in models.values())]
    if not {"mean_logp", "sum_logp", "back_translation"} & set(names):
        return None
    figure = Figure(figsize=(max(5.0, 1.5 * len(names)), 4.2), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(models)
    for n, (model, entry) in enumerate(models.items()):
        places = [(x + (n - (len(models) - 1) / 2) * width, name) for x, name in enumerate(names) if name in entry]
        y = [100 * entry[name] for _, name in places]
        ends = [entry.get("intervals_95", {}).get(name, [entry[name]] * 2) for _, name in places]
        colour = COLOURS[n % len(COLOURS)]
        axes.bar([x for x, _ in places], y, width, yerr=_arms(y, ends), capsize=3, color=colour, label=model)
    axes.set_xticks(range(len(names)), [RANKED[name] for name in names])
    axes.set_ylim(0, 108)
    axes.set_title("Problems solved by one sample each, by how it is chosen")
    axes.legend(frameon=False)
    finish(axes)
    return figure


def _arms(y: list[float], ends: list[list[float]]) -> list[list[float]]:
    """Lengths below and above; a quantile can differ from the mean in the last bit, and none may be negative."""
    low = [max(0.0, value - 100 * end[0]) for value, end in zip(y, ends, strict=True)]
    high = [max(0.0, 100 * end[1] - value) for value, end in zip(y, ends, strict=True)]
    return [low, high]


def finish(axes: Any) -> None:
    """Percent axis, light grid, no frame above and at the right."""
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    axes.set_ylabel("pass rate")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def save_figure(figure: Figure, stem: Path) -> None:
    """Writes STEM.png and STEM.svg, each whole or not at all."""
    for kind in ("png", "svg"):
        temporary = stem.with_name(f"{stem.name}.{kind}.tmp")
        figure.savefig(temporary, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
        os.replace(temporary, stem.with_name(f"{stem.name}.{kind}"))
