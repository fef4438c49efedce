"""Compares return values with those of EvalPlus's reference solutions. Runs in the checker, on plain values only."""

import functools
from collections.abc import Callable
from typing import Any

from codex_jax.problems.assertions import ArgumentTypes, restore_types
from codex_jax.problems.compare import close, is_number, read

MIN_ATOL, RTOL = 1e-6, 1e-7  # EvalPlus's default absolute tolerance for floats, and its relative tolerance


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
    if is_number(actual) and is_number(expected):
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
