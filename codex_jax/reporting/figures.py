"""The report's figures: headline pass rates, ways of choosing one sample, and pass rate by number of blocks."""

import warnings
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from codex_jax import terminal
from codex_jax.reporting.tables import RANKING_LABELS, SHOWN_N
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.jsonl import Json

COLOURS = ("#8c96a3", "#1f6fb4", "#2a9d6f", "#d98324", "#b5379a")
STYLES = ("-", "--", ":", "-.")  # of several models in one figure
HEIGHT, MAX_WIDTH = 4.2, 400.0  # inches; matplotlib draws at most 2^16 pixels
MAX_NAME = 40  # characters of a model's name
# A fixed salt makes SVG files reproducible. Names may contain $ and are not formulas.
matplotlib.rcParams.update({"svg.hashsalt": "codex_jax", "font.size": 10, "text.parse_math": False})


def draw_figures(models: dict[str, Json]) -> dict[str, Figure]:
    """Draws the figures, by name, from summaries by model. A figure without values is left out."""
    shown: dict[str, Json] = {}
    for name, summary in models.items():
        label = _label(name)
        shown[label if label not in shown else f"{label} {len(shown) + 1}"] = summary
    models = shown
    figures = {"headline": headline(models), "rankings": rankings(models), "blocks": blocks(models)}
    figures |= {"best_of": best_of(models), "bleu": bleu(models)}
    return {name: figure for name, figure in figures.items() if figure is not None}


def headline(models: dict[str, Json]) -> Figure:
    """Bars, as in the paper's headline figure: base's pass@1, then each other model's ways of choosing a sample."""
    bars = [("base\npass@1", models["base"]["pass@1"])] if "base" in models else []
    labels = {"pass@1": "pass@1", "mean_logp": "mean log p", "pass@10": "pass@10", "oracle": "oracle"}
    for name in [name for name in models if name != "base"] or ["base"]:
        for key, label in labels.items():
            if key in models[name] and (name, key) != ("base", "pass@1"):
                bars.append((f"{name}\n{label}", models[name][key]))
    figure, axes = _figure(max(5.0, 1.4 * len(bars)))
    colours = [COLOURS[min(n, len(COLOURS) - 1)] for n in range(len(bars))]
    drawn = axes.bar([label for label, _ in bars], [100 * value for _, value in bars], color=colours, width=0.65)
    axes.bar_label(drawn, [f"{100 * value:.1f}%" for _, value in bars], padding=3, fontweight="bold")
    axes.set_ylim(0, 108)  # room for a label above 100%
    axes.set_title("Problems solved, by model and way of choosing a sample")
    return figure


def blocks(models: dict[str, Json]) -> Figure | None:
    """Pass rate by number of chained blocks, with 95% intervals; None if no model has such rates."""
    with_blocks = {name: summary for name, summary in models.items() if summary.get("by_blocks")}
    if not with_blocks:
        return None
    figure, axes = _figure(6.0)
    counts: set[int] = set()
    for n, (name, summary) in enumerate(with_blocks.items()):
        rates = summary["by_blocks"]
        x = sorted(map(int, rates))
        y = [100 * rates[str(count)] for count in x]
        intervals = [summary.get("by_blocks_95", {}).get(str(count), [rates[str(count)]] * 2) for count in x]
        colour = COLOURS[n % len(COLOURS)]
        axes.errorbar(x, y, yerr=_error_bars(y, intervals), fmt="o-", capsize=4, color=colour, label=name)
        counts.update(x)
        if name != "base" and x[0] == 1 and len(x) > 1:
            third, half = ([y[0] / factor ** (k - 1) for k in x] for factor in (3, 2))
            axes.fill_between(x, third, half, color=colour, alpha=0.12, label="paper: 2 to 3 times less per block")
    axes.set_xticks(sorted(counts))
    axes.set_ylim(-2, 105)
    axes.set_xlabel("chained building blocks")
    axes.set_title("pass@1 against the number of chained blocks")
    axes.legend(frameon=False)
    return figure


def rankings(models: dict[str, Json]) -> Figure | None:
    """Share of problems solved by one sample each, by how it is chosen; None if no model has log probabilities."""
    names = [name for name in RANKING_LABELS if any(name in summary for summary in models.values())]
    if not {"mean_logp", "sum_logp", "back_translation"} & set(names):
        return None
    figure, axes = _figure(max(5.0, 1.5 * len(names)))
    width = 0.8 / len(models)
    for n, (model, summary) in enumerate(models.items()):
        bars = [(x + (n - (len(models) - 1) / 2) * width, name) for x, name in enumerate(names) if name in summary]
        y = [100 * summary[name] for _, name in bars]
        intervals = [summary.get("intervals_95", {}).get(name, [summary[name]] * 2) for _, name in bars]
        options = {"capsize": 3, "color": COLOURS[n % len(COLOURS)], "label": model}
        axes.bar([x for x, _ in bars], y, width, yerr=_error_bars(y, intervals), **options)
    axes.set_xticks(range(len(names)), [RANKING_LABELS[name] for name in names])
    axes.set_ylim(0, 108)
    axes.set_title("Problems solved by one sample each, by how it is chosen")
    axes.legend(frameon=False)
    return figure


def best_of(models: dict[str, Json]) -> Figure | None:
    """Pass rate of the best of n samples by each ranking, with 95% intervals; None if no model has them."""
    found = {name: summary for name, summary in models.items() if summary.get("best_of")}
    if not found:
        return None
    figure, axes = _figure(8.0)
    for n, (model, summary) in enumerate(found.items()):
        for ranking, colour in zip(RANKING_LABELS, COLOURS, strict=True):
            rates = summary["best_of"].get(ranking, {})
            x = sorted(map(int, rates))
            intervals = [summary.get("best_of_95", {}).get(ranking, {}).get(str(k), [rates[str(k)]] * 2) for k in x]
            label = RANKING_LABELS[ranking] if len(found) == 1 else f"{model} {RANKING_LABELS[ranking]}"
            style = STYLES[n % len(STYLES)]
            axes.plot(x, [100 * rates[str(k)] for k in x], style, color=colour, label=label) if x else None
            low, high = ([100 * interval[end] for interval in intervals] for end in (0, 1))
            axes.fill_between(x, low, high, color=colour, alpha=0.07, linewidth=0)
    axes.set_xscale("log")
    axes.set_xticks(SHOWN_N, [str(n) for n in SHOWN_N])
    axes.minorticks_off()
    axes.set_xlabel("samples to choose from")
    axes.set_title("Problems solved by the best of n samples, by how it is chosen")
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def bleu(models: dict[str, Json]) -> Figure | None:
    """How BLEU is distributed for right and for wrong samples; None if no model has it."""
    found = {name: summary["bleu_histogram"] for name, summary in models.items() if summary.get("bleu_histogram")}
    if not found:
        return None
    figure, axes = _figure(6.0)
    for n, (model, shares) in enumerate(found.items()):
        for kind, colour in (("right", COLOURS[2]), ("wrong", COLOURS[3])):
            edges = sorted(map(float, shares[kind]))
            y = [100 * shares[kind][f"{edge:g}"] for edge in edges]
            label = f"{kind} samples" if len(found) == 1 else f"{model}, {kind} samples"
            axes.step([*edges, 100], [*y, y[-1]], STYLES[n % len(STYLES)], where="post", color=colour, label=label)
    axes.set_xlabel("BLEU against the reference solution")
    axes.set_ylabel("samples")
    axes.set_title("BLEU of right and of wrong samples")
    axes.legend(frameon=False)
    return figure


def _label(name: str) -> str:
    """A model's name as a label. matplotlib leaves labels that begin with _ out of a legend."""
    short = name if len(name) <= MAX_NAME else f"{name[: MAX_NAME // 2]}…{name[-MAX_NAME // 2 :]}"
    return terminal.plain(f" {short}" if short.startswith("_") else short)


def _figure(width: float) -> tuple[Figure, Any]:
    """A figure and its axes, with percent on y and a light grid. width: inches."""
    figure = Figure(figsize=(min(width, MAX_WIDTH), HEIGHT), layout="constrained")
    axes = figure.subplots()
    axes.yaxis.set_major_formatter(PercentFormatter(decimals=0))
    axes.set_ylabel("pass rate")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _error_bars(y: list[float], intervals: list[list[float]]) -> list[list[float]]:
    """Lengths below and above y, in percent; 0 if rounding puts a mean just outside its interval."""
    low = [max(0.0, value - 100 * interval[0]) for value, interval in zip(y, intervals, strict=True)]
    high = [max(0.0, 100 * interval[1] - value) for value, interval in zip(y, intervals, strict=True)]
    return [low, high]


def save_figure(figure: Figure, stem: Path) -> None:
    """Writes STEM.png and STEM.svg; OSError if that fails."""
    for kind in ("png", "svg"):
        with write_atomic(stem.with_name(f"{stem.name}.{kind}")) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about characters that the font lacks, drawn as boxes
            figure.savefig(file, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else None)
