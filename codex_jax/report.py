"""python -m codex_jax.report RUN_OR_RESULTS... --out DIR: report.md, results.json and figures."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from codex_jax import cli, terminal
from codex_jax.errors import InputError
from codex_jax.reporting.inputs import collect, models_of, read_runs
from codex_jax.reporting.tables import NOTE, markdown, model_tables, run_tables
from codex_jax.storage.atomic import write_text_atomic

RANKINGS_NOTE = """\
Mean log p, sum log p and back-translation choose the sample with the highest value; the oracle chooses a sample that
passes if there is one."""


@dataclass(frozen=True)
class Args:
    """Writes tables (Markdown) and figures (PNG, SVG) of results from score, and the curves of training runs.

    Each input is a *_results.jsonl, a results.json, or a run folder, which gives its curves
    and validation bits per byte. NAME=PATH
    names an input, as in base=runs/demo/base.jsonl_results.jsonl. Results files of one NAME are counted together.
    """

    inputs: tyro.conf.Positional[tuple[str, ...]]  # RUN_OR_RESULTS..., each [NAME=]PATH
    out: Path  # folder for report.md, results.json, headline, rankings, blocks and curves (.png, .svg)
    problems: Path | None = None  # problems JSONL with `blocks`, for results without that field
    seconds: Path | None = None  # JSON file {STAGE: seconds} to include in the report


def main(args: Args) -> None:
    """Runs the command."""
    from codex_jax.reporting.curves import draw_curves
    from codex_jax.reporting.figures import draw_figures, save_figure  # matplotlib is slow to import

    results = collect(args.inputs, args.problems, args.seconds)
    models = models_of(results)
    tables = (model_tables(models) if models else []) + run_tables(results)
    figures = draw_figures(models) if models else {}
    curves = draw_curves(read_runs(args.inputs))
    figures |= {"curves": curves} if curves else {}
    images = [f"![{name}]({name}.png)\n" for name in figures]
    notes = [f"{RANKINGS_NOTE} {NOTE}\n"] if models else []
    report = "\n".join(["# Results\n", *images, *notes, markdown(tables)])
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            save_figure(figure, args.out / name)
        write_text_atomic(args.out / "results.json", json.dumps(results, indent=2) + "\n")
        write_text_atomic(args.out / "report.md", report)
    except OSError as error:
        raise InputError(f"cannot write to {args.out}: {error.strerror}") from None

    for title, rows in tables:
        terminal.show(title, rows)
    for name in ["report.md", "results.json", *(f"{name}.png" for name in figures)]:
        terminal.say(args.out / name)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
