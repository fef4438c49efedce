"""Reads the inputs of report: results files, results.json files and run folders."""

from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.reporting.ranking_statistics import choice_summary
from codex_jax.reporting.statistics import summarize
from codex_jax.runs.metrics import read_metrics
from codex_jax.scoring.samples import Seen, repeat
from codex_jax.storage.jsonl import Json, read_json, read_objects


def collect(inputs: tuple[str, ...], problems: Path | None, seconds: Path | None) -> Json:
    """The content of results.json: summaries by model, "bits_per_byte" and "seconds". InputError for bad inputs."""
    results: Json = {}
    blocks = read_blocks(problems) if problems else None
    files: dict[str, list[Path]] = {}  # results files by the name of their model
    named: set[str] = set()
    for text in inputs:
        name, equals, rest = text.partition("=")
        path = Path(rest if equals else text)
        if path.is_dir():
            bits = bits_per_byte(path)
            if bits:
                results.setdefault("bits_per_byte", bits)
        elif path.suffix == ".json":
            entries = read_numbers(path)
            if not all(isinstance(entry, dict) for entry in entries.values()):
                raise InputError(f"{path} must hold objects, as report writes it")
            results |= entries
        else:
            name = (name if equals else "") or path.name.removesuffix("_results.jsonl").removesuffix(".jsonl")
            if name in files and not (equals and name in named):
                raise InputError(f"two inputs are called {name!r}: write NAME=PATH")
            files.setdefault(name, []).append(path)
            named |= {name} if equals else set()
    for name, paths in files.items():
        if name in results:
            raise InputError(f"two inputs are called {name!r}: write NAME=PATH")
        rows = read_results(paths)
        results[name] = {**summarize(rows, paths[0], blocks), **choice_summary(rows)}
    if seconds:
        results["seconds"] = read_numbers(seconds)
    if not models_of(results) and not read_runs(inputs):
        raise InputError("no results: give at least one *_results.jsonl written by codex_jax.score, or a run folder")
    return results


def read_runs(inputs: tuple[str, ...]) -> dict[str, list[Json]]:
    """The metrics of the run folders among the inputs, by NAME or by the folder's path."""
    runs = {}
    for text in inputs:
        name, equals, rest = text.partition("=")
        path = Path(rest if equals else text)
        if path.is_dir():
            runs[name if equals else str(path)] = read_metrics(path)
    return runs


def read_results(paths: list[Path]) -> list[Json]:
    """The rows of the results files of one model, as for several seeds; InputError if a sample occurs twice."""
    rows: list[Json] = []
    seen: Seen = {}
    for path in paths:
        for number, row in enumerate(read_objects(path), 1):
            fault = repeat(row, f"{path} result {number}", seen) if "task_id" in row else ""
            if fault:
                raise InputError(f"{path} result {number}: {fault}")
            rows.append(row)
    return rows


def models_of(results: Json) -> dict[str, Json]:
    """The summaries among the entries of results.json."""
    return {name: entry for name, entry in results.items() if isinstance(entry, dict) and "pass@1" in entry}


def read_numbers(path: Path) -> Json:
    """Reads a file with one JSON object; InputError unless its values are as _check_numbers requires."""
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(f"{path} must hold one JSON object")
    _check_numbers(f"{path}: ", value)
    return value


def _check_numbers(place: str, entry: Json) -> None:
    """InputError unless all values are numbers, intervals [low, high] or objects of these. Skips "omitted": text."""
    for key, value in entry.items():
        if isinstance(value, dict):
            _check_numbers(f"{place}{key}.", {} if key == "omitted" else value)
        elif isinstance(value, list) and len(value) == 2:
            _check_numbers(f"{place}{key}.", {"low": value[0], "high": value[1]})
        elif not isinstance(value, (int, float)):
            raise InputError(f"{place}{key} must be a number, not {value!r}")


def read_blocks(path: Path) -> dict[str, int]:
    """The numbers of chained blocks by task_id, from a problems file."""
    rows = read_objects(path)
    return {row["task_id"]: row["blocks"] for row in rows if isinstance(row.get("blocks"), int) and "task_id" in row}


def bits_per_byte(run: Path) -> dict[str, float] | None:
    """The first and last validation bits per byte of a run folder, or None if it has none."""
    values = [row.get("bits_per_byte") for row in read_metrics(run)]
    numbers = [value for value in values if isinstance(value, (int, float))]
    return {"before": numbers[0], "after": numbers[-1]} if numbers else None
