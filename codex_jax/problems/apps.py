"""APPS (Hendrycks et al., 2021): contest problems, read from the folders of its release (paper section 3.5, table 2).

A solution is a program that reads standard input and writes standard output, or a function that is called. A sample
must pass the examples in the statement first, then the other tests. Each test runs in its own process.
"""

import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from codex_jax.errors import InputError
from codex_jax.problems import stdio
from codex_jax.problems.compare import long_integers
from codex_jax.problems.examples import public_examples
from codex_jax.problems.problem import Problem, TestSuite

STOPS = ('\n"""', "\n'''")  # start the next problem's statement; programs may contain functions, comments and prints
# The names that run_test of hendrycks/apps defines before every program. np is left out where numpy is not permitted.
OFFICIAL_PRELUDE = """\
import collections, fractions, heapq, itertools, math, random, sys, time
from collections import ChainMap, Counter, OrderedDict, defaultdict, deque
from functools import lru_cache
from heapq import *
from itertools import accumulate, combinations, permutations, product
from math import ceil, cos, exp, fabs, floor, gcd, log, log2, sin, sqrt, tan
from typing import List, Tuple
try:
    import numpy as np
except ImportError:
    pass
"""
STREAMS = "stdin, stdout = sys.stdin, sys.stdout\n"  # also defined, before programs on standard input
Prelude = Literal["official", "none"]
CALL_HOST = """\
def call(*arguments):
    module = load(prelude={prelude!r})
    owner = module.Solution() if hasattr(module, "Solution") else module
    return getattr(owner, {name!r})(*arguments)
"""
CALL_CASE = """\
from codex_jax.problems.apps_answers import restore_arguments, restore_value, same_return
from codex_jax.problems.compare import read


def check(candidate):
    value = candidate(*restore_arguments(read({arguments!r})))
    assert same_return(value, restore_value(read({expected!r}))), "another value"
"""
DIFFICULTIES = ("introductory", "interview", "competition")
ADVICE = "give the release's APPS/train or APPS/test"


@dataclass(frozen=True)
class AppsRecord:
    """One problem of the release.

    Without fn_name, a solution reads an input from standard input and writes the output to standard output. With
    fn_name, an input is the JSON list of the function's arguments and an output is its return value as JSON (tuples
    are lists, keys are text), which is sometimes wrapped in a list of length 1.
    """

    problem_id: str  # the folder's name, such as 0000
    question: str
    starter_code: str  # may be ""
    solutions: tuple[str, ...]  # some test problems have none
    inputs: tuple[Any, ...]  # some problems have none
    outputs: tuple[Any, ...]  # as many as inputs
    fn_name: str
    difficulty: str  # one of DIFFICULTIES
    url: str


@dataclass(frozen=True)
class AppsProblem(Problem):
    """A problem whose tests stay on disk until they run, because the tests of all problems take a gigabyte."""

    folder: Path = field(default=Path(), repr=False)
    digest: str = ""  # SHA-256 of the tests

    def test_suites(self) -> tuple[TestSuite, ...]:
        """The test suites, read from the folder."""
        return _read_suites(self.folder)


def read_apps(folder: Path) -> Iterator[AppsRecord]:
    """The problems of APPS/train or APPS/test in order. InputError for another folder or a broken file."""
    try:
        folders = sorted(path for path in folder.iterdir() if (path / "question.txt").is_file())
    except OSError as error:
        raise InputError(f"cannot read {folder}: {error.strerror}: {ADVICE}") from None
    if not folders:
        raise InputError(f"{folder} has no NNNN/question.txt: {ADVICE}")
    return map(read_record, folders)


def read_record(folder: Path) -> AppsRecord:
    """The problem in APPS/SPLIT/NNNN; InputError names a broken file."""
    path = folder / "metadata.json"
    metadata = _json(path, dict)
    _check(path, metadata.get("difficulty") in DIFFICULTIES, f"difficulty is not in {DIFFICULTIES}")
    path = folder / "solutions.json"
    solutions = _json(path, list)
    _check(path, all(isinstance(text, str) for text in solutions), "a solution is not text")
    inputs, outputs, fn_name = _tests(folder / "input_output.json")
    return AppsRecord(
        problem_id=folder.name,
        question=_text(folder / "question.txt"),
        starter_code=_text(folder / "starter_code.py"),
        solutions=tuple(solutions),
        inputs=inputs,
        outputs=outputs,
        fn_name=fn_name,
        difficulty=metadata["difficulty"],
        url=str(metadata.get("url") or ""),
    )


def _tests(path: Path) -> tuple[tuple[Any, ...], tuple[Any, ...], str]:
    """(inputs, outputs, fn_name). Without fn_name, inputs and outputs that are lists of lines become text."""
    tests = _json(path, dict)
    inputs, outputs, fn_name = tests.get("inputs", []), tests.get("outputs", []), tests.get("fn_name") or ""
    _check(path, isinstance(inputs, list) and isinstance(outputs, list), "inputs or outputs is not a list")
    _check(path, len(inputs) == len(outputs), f"there are {len(inputs)} inputs and {len(outputs)} outputs")
    _check(path, isinstance(fn_name, str), "fn_name is not text")
    if fn_name:
        _check(path, all(isinstance(arguments, list) for arguments in inputs), "an input is not a list of arguments")
        return tuple(inputs), tuple(outputs), fn_name
    return tuple(_joined(path, value) for value in inputs), tuple(_joined(path, value) for value in outputs), ""


def _joined(path: Path, value: Any) -> str:
    lines = value if isinstance(value, list) else [value]
    _check(path, all(isinstance(line, str) for line in lines), "an input or output is not text, and no fn_name")
    return "\n".join(lines)


def _text(path: Path) -> str:
    """The text of a file, "" if there is none."""
    try:
        return path.read_text(encoding="utf-8") if path.exists() else ""
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}: unpack the release again") from None


def _json(path: Path, kind: type) -> Any:
    """The JSON value of a file, which must be of this type; an empty value if the file is missing or empty."""
    text = _text(path)
    try:
        with long_integers():
            value = json.loads(text) if text.strip() else kind()
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({error}): unpack the release again") from None
    _check(path, isinstance(value, kind), f"not a JSON {'list' if kind is list else 'object'}")
    return value


def _check(path: Path, good: bool, fault: str) -> None:
    if not good:
        raise InputError(f"{path}: {fault}: unpack the release again, or leave the problem's folder out")


def problems_with_tests(folder: Path, prelude: Prelude = "official") -> Iterator[Problem]:
    """The problems of APPS/train or APPS/test that have tests; InputError as for read_apps.

    prelude: the names that programs find defined, none or those of the official grader.
    """
    official = OFFICIAL_PRELUDE if prelude == "official" else ""
    streams = STREAMS if prelude == "official" else ""
    for record in read_apps(folder):
        if record.inputs:
            name = record.fn_name
            yield AppsProblem(
                task_id=f"apps/{record.problem_id}",
                prompt=prompt(record),
                entry_point="call" if name else "run",
                suites=(),
                reference=record.solutions[0] if record.solutions else "",
                opening=record.starter_code,
                host=CALL_HOST.format(prelude=official, name=name)
                if name
                else stdio.HOST.format(prelude=official + streams),
                stops=STOPS,
                group=record.difficulty,
                prelude=prelude,
                folder=folder / record.problem_id,
                digest=hashlib.sha256(_dumps([record.inputs, record.outputs]).encode()).hexdigest(),
            )


def prompt(record: AppsRecord) -> str:
    """A docstring with the statement and one of its examples, as in the paper, followed by the starter code."""
    lines = [record.question.strip().replace('"""', "'''"), ""]
    for index in _public_examples(record)[:1]:
        test_input, output = record.inputs[index], record.outputs[index]
        if record.fn_name:
            test_input, output = ", ".join(map(_dumps, test_input)), _dumps(output)
        lines += ["Example input:", test_input.strip(), "Example output:", output.strip(), ""]
    lines.append(
        f"The function {record.fn_name} returns the answer."
        if record.fn_name
        else "The program reads standard input and writes standard output."
    )
    return '"""\n' + "\n".join(lines) + '\n"""\n' + record.starter_code


def _public_examples(record: AppsRecord) -> list[int]:
    return public_examples(record.question, record.inputs, record.outputs, bool(record.fn_name))


@functools.lru_cache(maxsize=64)
def _read_suites(folder: Path) -> tuple[TestSuite, ...]:
    record = read_record(folder)
    cases = [_case(record, *pair) for pair in zip(record.inputs, record.outputs, strict=True)]
    public = set(_public_examples(record))
    examples = tuple(case for number, case in enumerate(cases) if number in public)
    others = tuple(case for number, case in enumerate(cases) if number not in public)
    return TestSuite("examples", examples, gate=True), TestSuite("test", others)


def _case(record: AppsRecord, test_input: Any, output: Any) -> str:
    if record.fn_name:
        return CALL_CASE.format(arguments=_dumps(test_input), expected=_dumps(output))
    return stdio.CASE.format(test_input=test_input, expected=output)


def _dumps(value: Any) -> str:
    with long_integers():
        return json.dumps(value)
