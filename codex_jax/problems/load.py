"""What --problems may name, and which module knows it."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from codex_jax.errors import InputError
from codex_jax.problems import apps, building_blocks, evalplus, humaneval, mbpp
from codex_jax.problems.problem import load_problems
from codex_jax.problems.task import Task
from codex_jax.storage.jsonl import Json, parse, read_lines, text_field_error
from codex_jax.text.encoding import is_utf8

# A file's lines are of the first of these whose mark they have: EvalPlus's have HumanEval's, too.
FORMATS: tuple[ModuleType, ...] = (evalplus, mbpp, humaneval)
ADVICE = (
    "humaneval, building_blocks, apps:DIR, mbpp:FILE, or a FILE.jsonl[.gz] in HumanEval's, EvalPlus's or MBPP's form"
)


@dataclass(frozen=True)
class Benchmark:
    """name: of its form; stops: strings that end a completion; digest: of the problems and their tests."""

    name: str
    tasks: dict[str, Task]
    stops: tuple[str, ...]
    digest: str


def load_benchmark(spec: str) -> Benchmark:
    """The benchmark of --problems; InputError says what is wrong with it."""
    kind, colon, argument = spec.partition(":")
    if spec == "humaneval":
        return read_file(humaneval.path())
    if spec == "building_blocks":
        return _benchmark(building_blocks, building_blocks.load(), spec)
    if colon and kind == "apps":
        return _benchmark(apps, apps.load(Path(argument)), argument)
    if colon and kind == "mbpp":
        return read_file(Path(argument), mbpp)
    return read_file(Path(spec))


def read_file(path: Path, wanted: ModuleType | None = None) -> Benchmark:
    """The problems of a file, all of one form: that of its first line, or the wanted one."""
    if not path.is_file():
        raise InputError(f"no problems file {path}: give {ADVICE}")
    tasks = []
    for place, row in _rows(path):
        form = next((form for form in FORMATS if form.MARK in row), None)
        if form is None:
            raise InputError(f"{place}: {text_field_error(row, humaneval.FIELDS)}: it is no problem; give {ADVICE}")
        wanted = wanted or form
        if form is not wanted:
            raise InputError(
                f"{place}: a problem of {form.NAME}'s form, not {wanted.NAME}'s: give one benchmark a file"
            )
        fault = text_field_error(row, form.FIELDS)
        if fault:
            raise InputError(f"{place}: {fault}: a problem of {form.NAME}'s form has it")
        try:
            tasks.append(form.task_of(row))
        except InputError as error:
            raise InputError(f"{place}: {error}") from None
    return _benchmark(wanted or humaneval, tasks, str(path))


def _rows(path: Path) -> Iterator[tuple[str, Json]]:
    """(place, object): of a file of JSON lines, or of one JSON list, as sanitized-mbpp.json is."""
    if path.suffix == ".json":
        try:
            rows = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"cannot read {path}: {error}") from None
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path} is no JSON list of objects: give {ADVICE}")
        yield from ((f"{path} problem {number}", row) for number, row in enumerate(rows, 1))
        return
    for number, line in read_lines(path):
        fault, row = parse(line)
        if fault:
            raise InputError(f"{path} line {number}: {fault}")
        yield f"{path} line {number}", row


def _benchmark(form: Any, tasks: Iterable[Task], source: str) -> Benchmark:
    found: dict[str, Task] = {}
    digest = hashlib.sha256()
    for task in tasks:
        if task.task_id in found:
            raise InputError(f"{source}: task_id {task.task_id!r} is there twice")
        if not is_utf8(task.task_id + task.prompt):
            raise InputError(f"{source}: task_id {task.task_id!r} or its prompt has half a surrogate pair")
        found[task.task_id] = task
        digest.update(repr(task).encode("utf-8", "surrogatepass"))
    if not found:
        raise InputError(f"{source} holds no problems" + (" with tests" if form is apps else ""))
    return Benchmark(form.NAME, found, next(iter(found.values())).stops, digest.hexdigest())


def protected_texts(specs: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """(name, text) of every prompt and solution of these benchmarks; InputError where one cannot be read."""
    for spec in specs:
        kind, _, argument = spec.partition(":")
        if spec == "none":
            continue
        if kind == "apps" and argument:
            for task in apps.read_apps(Path(argument)):
                for text in (task.question, *task.solutions):
                    yield f"apps/{task.problem_id}", text
        elif spec == "building_blocks":
            for problem in building_blocks.heldout_problems():
                yield problem.task_id, problem.prompt
                yield problem.task_id, problem.canonical_solution
        elif spec == "humaneval" or spec.endswith((".jsonl", ".jsonl.gz")):
            for problem in load_problems(spec):
                yield problem.task_id, problem.prompt
                yield problem.task_id, problem.canonical_solution
        else:
            raise InputError(f"--protect {spec}: give humaneval, building_blocks, apps:DIR, a FILE.jsonl, or none")
