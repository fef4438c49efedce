"""The benchmarks that --problems and --protect can name."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.problems import apps, building_blocks, evalplus, humaneval, mbpp
from codex_jax.problems.docstrings import docstring_problem
from codex_jax.problems.problem import Problem
from codex_jax.storage.jsonl import Json, parse, read_json, read_lines, text_field_error
from codex_jax.text.encoding import is_utf8

CHOICES = (
    "humaneval, building_blocks, apps:DIR, mbpp:FILE, or a FILE.jsonl[.gz] in HumanEval's, EvalPlus's or MBPP's format"
)


class Format(NamedTuple):
    """How the rows of a benchmark file are recognised and converted."""

    name: str
    mark: str  # a field that identifies rows of this format
    text_fields: tuple[str, ...]  # fields that every row must have
    problem_of: Callable[[Json], Problem]


DOCSTRINGS = "docstrings:"  # before a benchmark: the tasks to write its docstrings
MBPP = Format("MBPP", "test_list", ("code",), mbpp.problem_of)
# A row has the first format whose mark it contains. EvalPlus's rows may also contain HumanEval's mark.
FORMATS = (
    Format("EvalPlus", "base_input", evalplus.FIELDS, evalplus.problem_of),
    MBPP,
    Format("HumanEval", "test", humaneval.FIELDS, humaneval.problem_of),
)


@dataclass(frozen=True)
class Benchmark:
    """Problems by task_id, in order."""

    name: str
    problems: dict[str, Problem]
    digest: str  # SHA-256 of the problems with their tests

    @property
    def stops(self) -> tuple[str, ...]:
        """Strings that end a completion, which are the same for all problems."""
        return next(iter(self.problems.values())).stops


def load_problems(spec: str, prelude: apps.Prelude = "official") -> Benchmark:
    """The benchmark that --problems names; InputError if it cannot be read. prelude: see apps.problems_with_tests."""
    kind, colon, argument = spec.partition(":")
    if spec.startswith(DOCSTRINGS):
        return _docstrings(spec, load_problems(argument))
    if spec == "humaneval":
        return _read_file(humaneval.data_file())
    if spec == "building_blocks":
        return _benchmark("building blocks", building_blocks.heldout_problems(), spec)
    if colon and kind == "apps":
        return _benchmark("APPS", apps.problems_with_tests(Path(argument), prelude), argument)
    if colon and kind == "mbpp":
        return _read_file(Path(argument), MBPP)
    return _read_file(Path(spec))


def protected_texts(specs: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(name, text) of every prompt and solution of these benchmarks; InputError if one cannot be read.

    specs: as for load_problems, or "none". For APPS, this includes all solutions, and problems without tests.
    """
    for spec in specs:
        if spec.startswith("apps:"):
            for record in apps.read_apps(Path(spec.removeprefix("apps:"))):
                yield from ((f"apps/{record.problem_id}", text) for text in (record.question, *record.solutions))
        elif spec != "none":
            for problem in load_problems(spec).problems.values():
                yield problem.task_id, problem.prompt
                yield problem.task_id, problem.canonical_solution


def _docstrings(spec: str, benchmark: Benchmark) -> Benchmark:
    tasks = [task for task in map(docstring_problem, benchmark.problems.values()) if task]
    without = len(benchmark.problems) - len(tasks)
    if without and tasks:
        terminal.note(f"{spec}: {without} of {len(benchmark.problems)} problems have no docstring and are left out")
    return _benchmark(f"docstrings of {benchmark.name}", tasks, spec)


def _read_file(path: Path, expected: Format | None = None) -> Benchmark:
    """The problems of a file. All rows must have the expected format, by default that of the first row."""
    if not path.is_file():
        raise InputError(f"no problems file {path}: give {CHOICES}")
    problems = []
    for place, row in _rows(path):
        row_format = next((each for each in FORMATS if each.mark in row), None)
        if row_format is None:
            raise InputError(f"{place}: not a problem, as {text_field_error(row, humaneval.FIELDS)}: give {CHOICES}")
        expected = expected or row_format
        if row_format is not expected:
            raise InputError(
                f"{place} is in {row_format.name}'s format, not {expected.name}'s: give one benchmark per file"
            )
        reason = text_field_error(row, row_format.text_fields)
        if reason:
            raise InputError(f"{place}: {reason}, which {row_format.name}'s format requires")
        try:
            problems.append(row_format.problem_of(row))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    return _benchmark(expected.name if expected else "", problems, str(path))


def _rows(path: Path) -> Iterator[tuple[str, Json]]:
    """(location, row) pairs from a file of JSON lines, or from a JSON list (.json) such as sanitized-mbpp.json."""
    if path.suffix == ".json":
        rows = read_json(path)
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path} is not a JSON list of objects: give {CHOICES}")
        yield from ((f"{path} problem {number}", row) for number, row in enumerate(rows, 1))
        return
    for number, line in read_lines(path):
        reason, row = parse(line)
        if reason:
            raise InputError(f"{path} line {number}: {reason}")
        yield f"{path} line {number}", row


def _benchmark(name: str, problems: Iterable[Problem], source: str) -> Benchmark:
    by_id: dict[str, Problem] = {}
    digest = hashlib.sha256()
    for problem in problems:
        if problem.task_id in by_id:
            raise InputError(f"{source}: task_id {problem.task_id!r} occurs twice")
        if not is_utf8(problem.task_id + problem.prompt):
            raise InputError(f"{source}: task_id {problem.task_id!r} or its prompt contains an unpaired surrogate")
        by_id[problem.task_id] = problem
        digest.update(repr(problem).encode("utf-8", "surrogatepass"))
    if not by_id:
        raise InputError(f"{source} contains no problems" + " with tests" * (name == "APPS"))
    return Benchmark(name, by_id, digest.hexdigest())
