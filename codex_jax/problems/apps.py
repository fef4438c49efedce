"""APPS (Hendrycks et al., 2021): contest problems, read from the folders of its release (paper section 3.5, table 2).

A solution is a program over standard input, or a function that is called. A sample must pass the examples in the
statement first, then the other tests; each test is run in a process of its own.
"""

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.problems import stdio
from codex_jax.problems.compare import long_integers
from codex_jax.problems.examples import public
from codex_jax.problems.task import Part, Task

NAME = "APPS"
STOPS = ('\n"""', "\n'''")  # the next problem's statement; a program may have functions, comments and prints
# What the sites where a function is handed in have imported already.
PRELUDE = """\
import bisect, collections, copy, datetime, functools, heapq, itertools, math, operator, random, re, string, sys
from bisect import bisect_left, bisect_right, insort
from collections import Counter, OrderedDict, defaultdict, deque
from functools import cmp_to_key, lru_cache, reduce
from heapq import heapify, heappop, heappush
from itertools import accumulate, combinations, permutations, product
from typing import *
"""
CALL_HOST = """\
def call(*arguments):
    scope = {{"__name__": "candidate"}}
    exec({prelude!r}, scope)
    exec(compile(SOURCE, "candidate.py", "exec"), scope)
    holder = scope.get("Solution")
    function = getattr(holder(), {name!r}) if hasattr(holder, {name!r}) else scope[{name!r}]
    return function(*arguments)
"""
CALL_CASE = """\
from codex_jax.problems.compare import read, same_return


def check(candidate):
    assert same_return(candidate(*read({given!r})), read({expected!r})), "another value"
"""
DIFFICULTIES = ("introductory", "interview", "competition")
ADVICE = "give the release's APPS/train or APPS/test"


@dataclass(frozen=True)
class AppsProblem:
    """One problem; without fn_name, a solution reads an input from stdin and writes the output to stdout.

    With fn_name, an input is the list of the call's arguments, and an output what it returns, as JSON has it: keys of
    objects are text, tuples are lists, and some outputs are wrapped in a list of one.
    """

    problem_id: str  # the folder's name, such as 0000
    question: str
    starter_code: str  # "" where there is none
    solutions: tuple[str, ...]  # none in some test problems
    inputs: tuple[Any, ...]  # as many as outputs; none in some problems
    outputs: tuple[Any, ...]
    fn_name: str
    difficulty: str  # one of DIFFICULTIES
    url: str


def read_apps(folder: Path, difficulties: tuple[str, ...] = DIFFICULTIES) -> Iterator[AppsProblem]:
    """The problems of APPS/train or APPS/test in order; InputError where it is neither, or a file is broken."""
    try:
        names = sorted(path.name for path in folder.iterdir() if (path / "question.txt").is_file())
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}: {ADVICE}") from None
    if not names:
        raise InputError(f"{folder} has no NNNN/question.txt: {ADVICE}")
    return _problems(folder, names, difficulties)


def _problems(folder: Path, names: list[str], difficulties: tuple[str, ...]) -> Iterator[AppsProblem]:
    for name in names:
        problem = read_problem(folder / name)
        if problem.difficulty in difficulties:
            yield problem


def read_problem(folder: Path) -> AppsProblem:
    """The problem in APPS/SPLIT/NNNN; InputError names the file that is broken."""
    metadata = _json(folder / "metadata.json", dict)
    if metadata is None:
        raise InputError(f"no file {folder / 'metadata.json'}: unpack the release again")
    _check(folder / "metadata.json", metadata.get("difficulty") in DIFFICULTIES, f"difficulty is not in {DIFFICULTIES}")
    solutions = _json(folder / "solutions.json", list) or []
    _check(folder / "solutions.json", all(isinstance(text, str) for text in solutions), "a solution is not text")
    question = _text(folder / "question.txt")
    if question is None:
        raise InputError(f"no file {folder / 'question.txt'}: unpack the release again")
    tests = _json(folder / "input_output.json", dict) or {}
    inputs, outputs, fn_name = _tests(folder / "input_output.json", tests)
    return AppsProblem(
        problem_id=folder.name,
        question=question,
        starter_code=_text(folder / "starter_code.py") or "",
        solutions=tuple(solutions),
        inputs=inputs,
        outputs=outputs,
        fn_name=fn_name,
        difficulty=metadata["difficulty"],
        url=str(metadata.get("url") or ""),
    )


def _tests(path: Path, tests: dict[str, Any]) -> tuple[tuple[Any, ...], tuple[Any, ...], str]:
    """(inputs, outputs, fn_name): lists of lines, as some of those for stdin and stdout are, become text."""
    inputs, outputs, fn_name = tests.get("inputs", []), tests.get("outputs", []), tests.get("fn_name") or ""
    _check(path, isinstance(inputs, list) and isinstance(outputs, list), "inputs or outputs is not a list")
    _check(path, len(inputs) == len(outputs), f"there are {len(inputs)} inputs and {len(outputs)} outputs")
    _check(path, isinstance(fn_name, str), "fn_name is not text")
    if fn_name:
        _check(path, all(isinstance(arguments, list) for arguments in inputs), "an input is not a list of arguments")
        return tuple(inputs), tuple(outputs), fn_name
    for value in (*inputs, *outputs):
        lines = value if isinstance(value, list) else [value]
        _check(path, all(isinstance(line, str) for line in lines), "an input or output is not text, and no fn_name")
    return tuple(map(_joined, inputs)), tuple(map(_joined, outputs)), ""


def _joined(value: str | list[str]) -> str:
    return value if isinstance(value, str) else "\n".join(value)


def _text(path: Path) -> str | None:
    """The text of a file, or None where there is none."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}: unpack the release again") from None


def _json(path: Path, kind: type) -> Any:
    """A file's JSON, which must be of this kind; None where the file is missing or empty."""
    text = _text(path)
    if text is None or not text.strip():
        return None
    try:
        with long_integers():
            value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}): unpack the release again") from None
    _check(path, isinstance(value, kind), f"it is no JSON {'list' if kind is list else 'object'}")
    return value


def _check(path: Path, good: bool, fault: str) -> None:
    if not good:
        raise InputError(f"{path}: {fault}: unpack the release again, or leave the problem's folder out")


@dataclass(frozen=True)
class Contest(Task):
    """A task whose tests, a gigabyte for all of APPS, stay on disk until they are run."""

    folder: Path = field(default=Path(), repr=False)
    digest: str = ""  # of the tests

    def checks(self) -> tuple[Part, ...]:
        """As of any task."""
        return _parts(self.folder)


def load(folder: Path) -> list[Task]:
    """The problems of APPS/train or APPS/test that have tests."""
    return [_task(folder, problem) for problem in read_apps(folder) if problem.inputs]


def _task(folder: Path, problem: AppsProblem) -> Task:
    with long_integers():
        tests = json.dumps([problem.inputs, problem.outputs])
    name = problem.fn_name
    return Contest(
        task_id=f"apps/{problem.problem_id}",
        prompt=prompt(problem),
        entry_point="call" if name else "run",
        parts=(),
        reference=problem.solutions[0] if problem.solutions else "",
        opening=problem.starter_code,
        host=CALL_HOST.format(prelude=PRELUDE, name=name) if name else stdio.HOST,
        stops=STOPS,
        group=problem.difficulty,
        folder=folder / problem.problem_id,
        digest=hashlib.sha256(tests.encode()).hexdigest(),
    )


def prompt(problem: AppsProblem) -> str:
    """The statement as a docstring with one of its examples once more, as in the paper, and the function's head."""
    lines = [problem.question.strip().replace('"""', "'''"), ""]
    for index in _examples(problem)[:1]:
        given, expected = problem.inputs[index], problem.outputs[index]
        if problem.fn_name:
            with long_integers():
                given, expected = ", ".join(map(json.dumps, given)), json.dumps(expected)
        lines += ["Example input:", given.strip(), "Example output:", expected.strip(), ""]
    lines.append(
        f"The function {problem.fn_name} returns the answer."
        if problem.fn_name
        else "The program reads standard input and writes standard output."
    )
    return '"""\n' + "\n".join(lines) + '\n"""\n' + problem.starter_code


def _examples(problem: AppsProblem) -> list[int]:
    return public(problem.question, problem.inputs, problem.outputs, bool(problem.fn_name))


@functools.lru_cache(maxsize=64)
def _parts(folder: Path) -> tuple[Part, ...]:
    problem = read_problem(folder)
    shown = set(_examples(problem))
    pairs = list(zip(problem.inputs, problem.outputs, strict=True))
    examples, rest = (
        tuple(_case(problem, *pair) for n, pair in enumerate(pairs) if (n in shown) == wanted)
        for wanted in (True, False)
    )
    return Part("examples", examples, gate=True), Part("test", rest)


def _case(problem: AppsProblem, given: Any, expected: Any) -> str:
    if not problem.fn_name:
        return stdio.CASE.format(given=given, expected=expected)
    with long_integers():
        return CALL_CASE.format(given=json.dumps(given), expected=json.dumps(expected))
