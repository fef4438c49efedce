"""python -m codex_jax.report RUN_OR_RESULTS... --out DIR: report.md, results.json and figures."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from codex_jax import cli, terminal
from codex_jax.errors import InputError
from codex_jax.reporting import tables as benchmark_tables
from codex_jax.reporting.statistics import summarize
from codex_jax.runs.metrics import read_metrics
from codex_jax.storage.jsonl import Json, read_objects

UNTOLD = "untold"  # holds reasons
SUFFIXES = ("_results.jsonl", ".jsonl")  # of a results file's name, to find its short name

NOTE = f"""\
Mean log p, sum log p and back-translation choose the sample that has most of it; the oracle chooses one that passes if
any does. {benchmark_tables.NOTE}
"""


@dataclass(frozen=True)
class Args:
    """Tables (Markdown) and figures (PNG, SVG) of what score wrote.

    Each input is a *_results.jsonl, a results.json, or a run folder (whose validation bits per byte are read);
    NAME=PATH names it, as in base=runs/demo/base.jsonl_results.jsonl.
    """

    inputs: tyro.conf.Positional[tuple[str, ...]]  # RUN_OR_RESULTS..., each [NAME=]PATH
    out: Path  # folder to write report.md, results.json, headline, rankings and blocks (.png, .svg) to
    problems: Path | None = None  # problems JSONL whose `blocks` apply where the results carry none
    seconds: Path | None = None  # JSON file {STAGE: seconds} to show


def read_json(path: Path) -> Json:
    """One JSON object; InputError where the file holds none."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {path}: {error}") from None
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold one JSON object")
    return value


def read_blocks(path: Path) -> dict[str, int]:
    """task_id to the number of chained blocks, of a problems file."""
    found = {}
    for row in list(read_objects(path)):
        blocks = row.get("blocks")
        if isinstance(blocks, (int, list)) and "task_id" in row:
            found[row["task_id"]] = len(blocks) if isinstance(blocks, list) else blocks
    return found


def bits_per_byte(run: Path) -> dict[str, float] | None:
    """The first and last validation bits per byte of a run folder; None where it measured none."""
    rows = read_metrics(run)
    values = [row["bits_per_byte"] for row in rows if isinstance(row.get("bits_per_byte"), (int, float))]
    return {"before": values[0], "after": values[-1]} if values else None


def short_name(path: Path) -> str:
    """The name of an unnamed input: base of base.jsonl_results.jsonl."""
    name = path.name
    for suffix in SUFFIXES:
        name = name.removesuffix(suffix)
    return name


def check_results(results: Json, source: Path) -> Json:
    """The same object; InputError where a value that is shown is not a number."""
    for name, entry in results.items():
        if not isinstance(entry, dict):
            raise InputError(f"{source}: {name!r} must be an object, as report writes it")
        _check_numbers(f"{source}: {name}", {key: value for key, value in entry.items() if key != UNTOLD})
    return results


def _check_numbers(place: str, entry: Json) -> None:
    """Numbers, objects of such and so on; [low, high] where the key is of intervals."""
    for key, value in entry.items():
        if isinstance(value, dict):
            _check_numbers(f"{place}.{key}", value)
        elif isinstance(value, list) and len(value) == 2:
            _check_numbers(f"{place}.{key}", {"low": value[0], "high": value[1]})
        elif not isinstance(value, (int, float)):
            raise InputError(f"{place}.{key} must be a number, not {value!r}")


def collect(args: Args) -> Json:
    """results.json's object, from all inputs."""
    results: Json = {}
    blocks = read_blocks(args.problems) if args.problems else None
    for text in args.inputs:
        label, equals, rest = text.partition("=")
        name, path = (label, Path(rest)) if equals else ("", Path(text))
        if path.is_dir():
            measured = bits_per_byte(path)
            if measured:
                results.setdefault("bits_per_byte", measured)
        elif path.suffix == ".json":
            results.update(check_results(read_json(path), path))
        else:
            name = name or short_name(path)
            if name in results:
                raise InputError(f"two inputs are called {name!r}: write NAME=PATH")
            results[name] = summarize(list(read_objects(path)), path, blocks)
    if args.seconds:
        results.update(check_results({"seconds": read_json(args.seconds)}, args.seconds))
    if not models(results):
        raise InputError("no scored results: give at least one *_results.jsonl written by python -m codex_jax.score")
    return results


def models(results: Json) -> dict[str, Json]:
    """The models among the entries of results.json."""
    return {name: entry for name, entry in results.items() if isinstance(entry, dict) and "pass@1" in entry}


def tables(results: Json) -> list[tuple[str, list[list[str]]]]:
    """(title, rows with the header first), for Markdown and for the terminal alike."""
    made = benchmark_tables.of_models(models(results))
    if results.get("bits_per_byte"):
        pair = results["bits_per_byte"]
        made.append(
            (
                "Validation bits per byte of pretraining",
                [["before", "after"], [f"{pair['before']:.3f}", f"{pair['after']:.3f}"]],
            )
        )
    if results.get("seconds"):
        rows = [[stage, f"{value:.0f}"] for stage, value in results["seconds"].items()]
        made.append(("Time", [["stage", "seconds"], *rows]))
    return made


def markdown(results: Json, figures: list[str]) -> str:
    """report.md's text."""
    parts = ["# Results\n", *(f"![{name}]({name}.png)\n" for name in figures), NOTE]
    for title, (header, *rows) in tables(results):
        lines = ["| " + " | ".join(cells) + " |" for cells in [header, ["---"] * len(header), *rows]]
        parts.append(f"## {title}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def write_text(path: Path, text: str) -> None:
    """Writes path whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    os.replace(temporary, path)


def main(args: Args) -> None:
    """The command."""
    from codex_jax.reporting.figures import blocks_figure, headline_figure, rankings_figure, save_figure

    results = collect(args)
    found = models(results)
    drawn = {
        "headline": headline_figure(found),
        "rankings": rankings_figure(found),
        "blocks": blocks_figure(found),
    }
    figures = {name: figure for name, figure in drawn.items() if figure is not None}
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        for name, figure in figures.items():
            save_figure(figure, args.out / name)
        write_text(args.out / "results.json", json.dumps(results, indent=2) + "\n")
        write_text(args.out / "report.md", markdown(results, list(figures)))
    except OSError as error:
        raise InputError(f"cannot write to {args.out}: {error.strerror}") from None

    for title, rows in tables(results):
        terminal.show(title, rows)
    for path in ["report.md", "results.json", *(f"{name}.png" for name in figures)]:
        print(args.out / path)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
