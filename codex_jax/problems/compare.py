"""Compares answers with the values that a benchmark expects. Runs in the checker, on plain values only."""

import functools
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from codex_jax.problems.assertions import ArgumentTypes, restore_types

TOLERANCE = 1e-6  # for numbers in APPS's outputs, absolute or relative, as most contests allow
MIN_ATOL, RTOL = 1e-6, 1e-7  # EvalPlus's default absolute tolerance for floats, and its relative tolerance
INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


@contextmanager
def long_integers() -> Iterator[None]:
    """Lifts Python's limit of 4300 digits for reading and writing integers, which some tests exceed."""
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
    """Whether |actual - expected| <= atol + rtol |expected|. Equal infinities are close, and so are two NaNs."""
    if actual == expected:
        return True
    try:
        if math.isnan(actual) and math.isnan(expected):
            return True
        return abs(actual - expected) <= atol + rtol * abs(expected) < math.inf
    except OverflowError:  # an integer that is too large for a float
        return False


def same_output(actual: str, expected: str) -> bool:
    """Whether two outputs have the same sequence of tokens, split at white space.

    Tokens must be equal, except that two numbers may differ by TOLERANCE unless both are written as integers.
    """
    actual_tokens, expected_tokens = actual.split(), expected.split()
    return len(actual_tokens) == len(expected_tokens) and all(map(_same_token, actual_tokens, expected_tokens))


def _same_token(actual: str, expected: str) -> bool:
    if actual == expected:
        return True
    if not (NUMBER.fullmatch(actual) and NUMBER.fullmatch(expected)):
        return False
    if INTEGER.fullmatch(actual) and INTEGER.fullmatch(expected):
        return False
    return close(float(actual), float(expected), TOLERANCE, TOLERANCE)


def same_return(actual: Any, expected: Any) -> bool:
    """Whether a function returned the value that APPS expects. APPS wraps some values in a list of length 1."""
    actual = _as_json(actual)
    wrapped = isinstance(expected, list) and len(expected) == 1
    return _same_value(actual, expected) or (wrapped and _same_value(actual, expected[0]))


def _as_json(value: Any) -> Any:
    """Converts tuples to lists and keys to text, as JSON does. A set stays a set, which equals no JSON value."""
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        keys = (key if isinstance(key, str) else json.dumps(_as_json(key)) for key in value)
        return dict(zip(keys, map(_as_json, value.values()), strict=True))
    return value


def _same_value(actual: Any, expected: Any) -> bool:
    """Whether two JSON values are equal. Two numbers may differ by TOLERANCE if one is a float."""
    if isinstance(expected, list):
        return isinstance(actual, list) and len(actual) == len(expected) and all(map(_same_value, actual, expected))
    if isinstance(expected, dict):
        if not isinstance(actual, dict) or actual.keys() != expected.keys():
            return False
        return all(_same_value(actual[key], item) for key, item in expected.items())
    if _is_number(actual) and _is_number(expected) and float in (type(actual), type(expected)):
        return close(actual, expected, TOLERANCE, TOLERANCE)
    return bool(actual == expected)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def like_reference(actual: Any, expected: Any, atol: float) -> bool:
    """EvalPlus's rule: equal or, if a tolerance applies, of the same type and length with all numbers close.

    A tolerance applies if the problem has one, or if the expected value is a float or consists of floats.
    """
    if actual == expected:
        return True
    items = expected if isinstance(expected, (list, tuple)) else [expected]
    if not atol and items and all(isinstance(item, float) for item in items):
        atol = MIN_ATOL
    return bool(atol) and type(actual) is type(expected) and _all_close(actual, expected, atol)


def _all_close(actual: Any, expected: Any, atol: float) -> bool:
    if isinstance(expected, (list, tuple)):
        if not isinstance(actual, (list, tuple)) or len(actual) != len(expected):
            return False
        return all(_all_close(one, other, atol) for one, other in zip(actual, expected, strict=True))
    if _is_number(actual) and _is_number(expected):
        return close(actual, expected, atol, RTOL)
    return bool(actual == expected)


@functools.lru_cache(maxsize=64)
def _reference_values(
    source: str, name: str, inputs: str, use: str, types: ArgumentTypes
) -> tuple[dict[str, Any], list[Any]]:
    """(the namespace of the reference solution, its return values for the inputs)."""
    scope: dict[str, Any] = {"__name__": "reference"}
    exec(compile(source, "reference.py", "exec"), scope)
    values = []
    for number, arguments in enumerate(read(inputs)):
        try:
            value = scope[name](*restore_types(arguments, types))
            values.append(bool(value) if use == "truth" else value if use == "value" else list(value))
        except Exception as error:
            raise RuntimeError(f"the reference solution fails on input {number}: {error!r}") from None
    return scope, values


def check_against(
    candidate: Callable[..., Any], source: str, name: str, inputs: str, atol: float, use: str, types: ArgumentTypes
) -> None:
    """AssertionError if the candidate and the reference solution differ on an input.

    source, name: the reference solution and its function. inputs: JSON, a list of argument lists. use, types: see
    value_use and argument_types in assertions.py.
    """
    scope, values = _reference_values(source, name, inputs, use, types)
    for number, (arguments, expected) in enumerate(zip(read(inputs), values, strict=True)):
        arguments = restore_types(arguments, types)
        answer = candidate(*arguments)
        if name == "find_zero":  # HumanEval/32: any zero of the polynomial is right
            same = abs(scope["poly"](*arguments, answer)) <= max(atol, MIN_ATOL)
        elif use == "truth":
            same = bool(answer) == expected
        elif use == "set":
            same = set(answer) == set(expected)
        else:
            same = like_reference(list(answer) if use == "items" else answer, expected, atol)
        assert same, f"input {number}"
