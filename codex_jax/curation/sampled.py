"""Filters problems by the results of samples of them, as the paper does with 100 samples (section 4.3)."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from codex_jax.curation.made_problem import MadeProblem
from codex_jax.curation.needed_code import bound_names
from codex_jax.errors import InputError
from codex_jax.problems import humaneval
from codex_jax.problems.docstrings import parse_source
from codex_jax.storage.jsonl import Json, read_objects


@dataclass
class SampleCount:
    """The results of a problem's samples."""

    samples: int = 0
    passed: int = 0
    reference: str = ""  # the result of the reference solution, if score found that it fails
    verdicts: dict[str, bool] = field(default_factory=dict)  # program -> whether it passed
    differs: bool = False  # whether the same program passed once and failed once


def read_problems(path: Path) -> dict[str, Json]:
    """The rows of a file in HumanEval's form by task_id. InputError if it is not one."""
    rows: dict[str, Json] = {}
    for row in read_objects(path, humaneval.FIELDS):
        if row["task_id"] in rows:
            raise InputError(f"{path}: task_id {row['task_id']!r} occurs twice: remove one")
        tree = parse_source(row["prompt"] + row["canonical_solution"])
        if tree and row["entry_point"] not in set().union(*map(bound_names, tree.body)):
            raise InputError(f"{path}: {row['task_id']!r} does not define its entry_point {row['entry_point']!r}")
        rows[row["task_id"]] = row
    if not rows:
        raise InputError(f"{path} contains no problems")
    return rows


def read_results(paths: Iterable[Path], problems: Iterable[str]) -> dict[str, SampleCount]:
    """The counts of each problem. InputError if a result is broken, or of another problem."""
    counts = {task_id: SampleCount() for task_id in problems}
    for path in paths:
        for row in read_objects(path, ("task_id",)):
            task_id, passed = row["task_id"], row.get("passed")
            if task_id not in counts:
                raise InputError(f"{path}: {task_id!r} is not among the problems: give results of these problems")
            if not isinstance(passed, bool):
                raise InputError(f"{path}: a line of {task_id!r} has no 'passed': give what score writes")
            count = counts[task_id]
            count.samples += 1
            count.passed += passed
            count.reference = count.reference or str(row.get("reference") or "")
            program = str(row.get("solution", row.get("completion", "")))
            known = hashlib.sha256(program.encode("utf-8", "surrogatepass")).hexdigest()
            count.differs |= count.verdicts.setdefault(known, passed) is not passed
    return counts


def reason_to_drop(count: SampleCount, drop_solved: bool) -> str:
    """Why a problem is dropped by its samples, or "". drop_solved: also if every sample solves it."""
    if not count.samples:
        return "no_samples"
    if count.reference:
        return "reference_fails"
    if count.differs:
        return "not_deterministic"
    if not count.passed:
        return "solved_by_no_sample"
    return "solved_by_every_sample" if drop_solved and count.passed == count.samples else ""


def problem_of_row(row: Json) -> MadeProblem:
    """The problem of a row in HumanEval's form, which may lack the other fields."""
    others = {name: str(row.get(name) or "") for name in ("source", "licence", "provenance")}
    return MadeProblem(
        **{name: row[name] for name in humaneval.FIELDS}, **others, repo=str(row.get("repo") or row["task_id"])
    )
