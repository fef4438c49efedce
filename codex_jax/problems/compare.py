"""How answers are compared with what a benchmark expects; runs in the checker, on plain values alone."""

import functools
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from codex_jax.problems.assertions import Kinds, restore

TOLERANCE = 1e-6  # of numbers in APPS's outputs, absolute or relative, as most contests allow
LEAST_ATOL, RTOL = 1e-6, 1e-7  # EvalPlus's tolerance where floats are expected and none is given; its relative one
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@contextmanager
def long_integers() -> Iterator[None]:
    """Within, integers of any length are read and written; some tests' are longer than Python's limit, 4300 digits."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


def read(text: str) -> Any:
    """The value of a JSON text."""
    with long_integers():
        return json.loads(text)


def close(actual: float, expected: float, atol: float, rtol: float) -> bool:
    """Whether |actual - expected| <= atol + rtol |expected|; equal infinities and two NaNs are close."""
    if actual == expected:
        return True
    try:
        if math.isnan(actual) and math.isnan(expected):
            return True
        return abs(actual - expected) <= atol + rtol * abs(expected) < math.inf
    except OverflowError:  # an integer that no float can hold
        return False


def same_output(actual: str, expected: str) -> bool:
    """Whether two outputs have the same tokens between white space, in order.

    Tokens are the same as text or, where at least one of them is written as a number that is no integer, as numbers
    within TOLERANCE.
    """
    ours, theirs = actual.split(), expected.split()
    return len(ours) == len(theirs) and all(map(_same_token, ours, theirs))


def _same_token(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    if not (NUMBER.fullmatch(actual) and NUMBER.fullmatch(expected)):
        return False
    if INTEGER.fullmatch(actual) and INTEGER.fullmatch(expected):
        return False
    return close(float(actual), float(expected), TOLERANCE, TOLERANCE)


def same_return(actual: Any, expected: Any) -> bool:
    """Whether a call's value is the one that APPS expects, in JSON's types; some are wrapped in a list of one."""
    actual = plain(actual)
    wrapped = isinstance(expected, list) and len(expected) == 1
    return same_value(actual, expected) or (wrapped and same_value(actual, expected[0]))


def plain(value: Any) -> Any:
    """The value as JSON would have it: tuples are lists, keys are text; sets stay, as no JSON value is equal to one."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else json.dumps(plain(key)): plain(item) for key, item in value.items()}
    return value


def same_value(actual: Any, expected: Any) -> bool:
    """Whether two plain values are equal, where numbers of which one is a float may differ by TOLERANCE."""
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(actual) != len(expected):
            return False
        return all(map(same_value, actual, expected))
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or actual.keys() != expected.keys():
            return False
        return all(same_value(actual[key], item) for key, item in expected.items())
    if _number(actual) and _number(expected) and float in (type(actual), type(expected)):
        return close(actual, expected, TOLERANCE, TOLERANCE)
    return bool(actual == expected)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def like_reference(actual: Any, expected: Any, atol: float) -> bool:
    """EvalPlus's rule: equal; or, where a tolerance applies, of the same type and length with all numbers close.

    A tolerance applies where the problem gives one, and where a float or a list of floats alone is expected.
    """
    if actual == expected:
        return True
    items = expected if isinstance(expected, (list, tuple)) else [expected]
    if not atol and items and all(isinstance(item, float) for item in items):
        atol = LEAST_ATOL
    return bool(atol) and type(actual) is type(expected) and _all_close(actual, expected, atol)


def _all_close(actual: Any, expected: Any, atol: float) -> bool:
    if isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(actual) != len(expected):
            return False
        return all(_all_close(one, other, atol) for one, other in zip(actual, expected, strict=True))
    if _number(actual) and _number(expected):
        return close(actual, expected, atol, RTOL)
    return bool(actual == expected)


def _root(scope: dict[str, Any], arguments: list[Any], answer: Any, _expected: Any, atol: float) -> bool:
    return abs(scope["poly"](*arguments, answer)) <= max(atol, LEAST_ATOL)


# Functions with more than one right answer, which is looked at itself: any zero of a polynomial (HumanEval/32).
Oracle = Callable[[dict[str, Any], list[Any], Any, Any, float], bool]
ORACLES: dict[str, Oracle] = {"find_zero": _root}


@functools.lru_cache(maxsize=64)
def _reference(source: str, name: str, inputs: str, use: str, kinds: Kinds) -> tuple[dict[str, Any], list[Any]]:
    """(the reference's names, its values for the inputs)."""
    scope: dict[str, Any] = {"__name__": "reference"}
    exec(compile(source, "reference.py", "exec"), scope)
    values = []
    for number, arguments in enumerate(read(inputs)):
        try:
            value = scope[name](*restore(arguments, kinds))
            values.append(bool(value) if use == "truth" else value if use == "value" else list(value))
        except Exception as error:
            raise RuntimeError(f"the reference solution fails on input {number}: {error!r}") from None
    return scope, values


def check_against(
    candidate: Callable[..., Any], source: str, name: str, inputs: str, atol: float, use: str, kinds: Kinds
) -> None:
    """AssertionError where the candidate and the reference solution differ on one of the inputs, a JSON list.

    use, kinds: how the values are used, and the types of the arguments; see assertions.
    """
    scope, values = _reference(source, name, inputs, use, kinds)
    oracle = ORACLES.get(name)
    for number, (given, expected) in enumerate(zip(read(inputs), values, strict=True)):
        arguments = restore(given, kinds)
        answer = candidate(*arguments)
        if oracle:
            same = oracle(scope, arguments, answer, expected, atol)
        elif use == "truth":
            same = bool(answer) == expected
        elif use == "set":
            same = set(answer) == set(expected)
        else:
            same = like_reference(list(answer) if use == "items" else answer, expected, atol)
        assert same, f"input {number}"
