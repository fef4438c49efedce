"""Compares outputs and return values with those that APPS expects. Runs in the checker, on plain values only."""

import json
import re
from typing import Any

from codex_jax.problems.compare import NUMBER, close, is_number

TOLERANCE = 1e-6  # for numbers in APPS's outputs, absolute or relative, as most contests allow
INTEGER = re.compile(r"[+-]?[0-9]+")


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
    if is_number(actual) and is_number(expected) and float in (type(actual), type(expected)):
        return close(actual, expected, TOLERANCE, TOLERANCE)
    return bool(actual == expected)
