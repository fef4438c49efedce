"""python -m codex_jax.watch RUN: shows a run in the terminal while it trains."""

import datetime
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Group
from rich.live import Live
from rich.text import Text

from codex_jax import cli, terminal
from codex_jax.config import TrainConfig
from codex_jax.errors import InputError
from codex_jax.reporting.text_plot import points, text_curve
from codex_jax.runs.folder import finished_steps, read_config
from codex_jax.runs.history import read_history
from codex_jax.runs.metrics import read_metrics
from codex_jax.storage.jsonl import Json

EVENTS, HEIGHT = 4, 8  # lines
HIDDEN = ("data", "seconds")  # fields of events
PLOTS = (("loss, validation loss", ("loss", "validation_loss")), ("pass@k", ("pass@1", "pass@10", "pass@100")))


@dataclass(frozen=True)
class Args:
    """Shows a run in the terminal. It reads the run folder only, so it may run on another machine that sees it."""

    run: tyro.conf.Positional[Path]  # run folder written by codex_jax.train
    every: float = 5.0  # seconds between two looks
    once: bool = False  # print the state once, and end


def left(config: TrainConfig, rows: list[Json]) -> str:
    """The time left at the speed of the latest steps, and the time at which the run will end."""
    logged = [row for row in rows if "step_seconds" in row]
    if not logged:
        return "no step is finished yet"
    steps, seconds = config.steps - logged[-1]["step"], 0.0
    if steps > 0:
        # Steps alone are faster than the run, which also evaluates and saves.
        seconds = steps * logged[-1]["step_seconds"] / max(logged[-1].get("goodput", 1.0), 1e-3)
    end = datetime.datetime.now() + datetime.timedelta(seconds=seconds)
    return f"{terminal.duration(seconds)} left, until {end:%d %B %H:%M}" if steps > 0 else "all steps are done"


def summary(folder: Path, config: TrainConfig, rows: list[Json]) -> list[str]:
    """The lines on the state of the run."""
    row: Json = {name: value for one in rows for name, value in one.items()}  # the newest value of each
    lines = [f"{folder}  step {row.get('step', 0):,} of {config.steps:,}  {left(config, rows)}"]
    formats = {
        "loss": "loss {:.3f}",
        "validation_loss": "validation loss {:.3f}",
        "tokens_per_second": "{:,.0f} tokens/s",
        "mfu": "MFU {:.1%}",
        "goodput": "goodput {:.1%}",
        "tokens_seen": "{:,.0f} tokens seen",
        "memory_gib": "{:.1f} GiB",
    }
    lines.append("  ".join(text.format(row[name]) for name, text in formats.items() if name in row))
    saved = finished_steps(folder)
    lines.append(f"checkpoints: {', '.join(map(str, saved[-5:])) or 'none'}")
    return lines


def screen(folder: Path, width: int) -> list[str]:
    """The lines to show. InputError if the folder is not a run."""
    config = read_config(folder)
    try:
        rows = read_metrics(folder)
    except InputError:  # it has not begun to train
        rows = []
    lines = summary(folder, config, rows)
    for title, names in PLOTS:
        curve = text_curve([points(rows, name) for name in names], width, HEIGHT)
        lines += ["", title, *curve] if curve else []
    events = read_history(folder)[-EVENTS:]
    described = ("  ".join(f"{name} {value}" for name, value in row.items() if name not in HIDDEN) for row in events)
    return [*lines, "", *(line[:width] for line in described)]


def main(args: Args) -> None:
    """The command."""
    if args.every <= 0:
        raise InputError(f"--every must be above 0 seconds, not {args.every}")
    console = terminal.tables()
    if args.once or not sys.stdout.isatty():
        for line in screen(args.run, console.width):
            terminal.say(line)
        return

    def shown() -> Group:
        return Group(*(Text(terminal.plain(line)) for line in screen(args.run, console.width)))

    with Live(shown(), console=console, auto_refresh=False) as live:
        while True:
            time.sleep(args.every)
            live.update(shown(), refresh=True)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
