"""The APPS benchmark (Hendrycks et al., 2021) as its release is laid out: a folder a problem, read one at a time."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError

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


@contextmanager
def long_integers() -> Iterator[None]:
    """Within, integers of any length are read and written; some tests' are longer than Python's limit, 4300 digits."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


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
