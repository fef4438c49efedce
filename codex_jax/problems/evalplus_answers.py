"""Compares answers with those of EvalPlus's reference solutions, by EvalPlus's rules. Runs in the checker."""

import ast
import copy
import functools
import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from codex_jax.problems.assertions import parse
from codex_jax.problems.compare import close, read
from codex_jax.problems.evalplus_inputs import restore_like, restore_mbpp

MIN_ATOL, RTOL = 1e-6, 1e-7  # EvalPlus's default absolute tolerance for floats, and its relative tolerance
MAX_DEPTH = 64  # of lists of numbers that are compared with a tolerance, as in numpy
ITERABLES = (list, tuple, set, dict, str)
PLAIN = (type(None), int, float, complex, str, bytes, list, tuple, set, frozenset, dict)


def check_against(
    candidate: Callable[..., Any],
    reference: str,
    name: str,
    inputs: str,
    atol: float,
    rule: str = "value",
    task: int | None = None,
    assertion: str = "",
) -> None:
    """AssertionError if the candidate and the reference solution differ on an input.

    reference, name: the reference solution and its function. inputs: JSON, a list of argument lists. rule: see accepts.
    task, assertion: how the types of the inputs are restored; see prepare.
    """
    rule, pairs = prepare(reference, name, inputs, rule, task, assertion)
    for number, (arguments, expected) in enumerate(pairs):
        answer = candidate(*copy.deepcopy(arguments))  # which the candidate may change
        if rule == "items":
            answer = list(answer)
        same = accepts(rule, answer, expected, arguments, atol)
        if not atol and _is_floats(expected):
            atol = MIN_ATOL  # for the inputs after this one, too
        assert same or (rule != "zero" and atol and within(answer, expected, atol)), f"input {number}"


@functools.lru_cache(maxsize=64)
def prepare(
    reference: str, name: str, inputs: str, rule: str, task: int | None, assertion: str
) -> tuple[str, list[tuple[list[Any], Any]]]:
    """(the rule, (arguments, expected value) for each input). RuntimeError if the reference solution fails.

    task: MBPP's number, for which EvalPlus's loader knows the types of the arguments. assertion: source with calls that
    show the types, for other problems, or "".
    """
    module = sys.modules["reference"] = ModuleType("reference")  # dataclasses look their module up
    exec(compile(reference, "reference.py", "exec"), vars(module))
    restored = read(inputs)
    if task is not None:
        restored = [restore_mbpp(task, arguments) for arguments in restored]
    elif assertion:
        restored = restore_like(restored, _called_with(assertion, vars(module), name))
    values = []
    for number, arguments in enumerate(restored):
        try:
            value = vars(module)[name](*copy.deepcopy(arguments))
            if rule == "items" or (rule == "set" and not isinstance(value, ITERABLES)):
                value = list(value)
        except Exception as error:
            raise RuntimeError(f"the reference solution fails on input {number}: {error!r}") from None
        values.append(value)
    if rule == "truth":  # such as a match, of which only this is known: whether it is None
        rule = "value" if all(isinstance(value, PLAIN) for value in values) else "present"
    if rule == "present":
        values = [value is not None for value in values]
    return rule, list(zip(restored, values, strict=True))


def _called_with(assertion: str, names: dict[str, Any], name: str) -> list[list[Any]]:
    """The arguments of each call of the function `name` in the assertions, which run as far as they can."""
    calls: list[list[Any]] = []

    def recorder(*arguments: Any) -> Any:
        calls.append(copy.deepcopy(list(arguments)))
        return names[name](*arguments)

    scope = {"math": math, "inf": math.inf, "nan": math.nan, **names, name: recorder}
    for statement in parse(assertion, "the assertion").body:
        try:
            exec(compile(ast.Module([statement], []), "assertion.py", "exec"), scope)
        except Exception:
            continue
    return calls


def accepts(rule: str, answer: Any, expected: Any, arguments: list[Any], atol: float) -> bool:
    """Whether the answer is right without a tolerance, except for the rules that have one. The rules are:

    value: it equals the expected value. set: it has the same items. items: it has the same items in the same order.
    present: it is None, or False, where a value is not expected. any: it need only exist. zero: it is a zero of the
    polynomial. The other rules are names of MBPP's functions for which a second answer is right as well.
    """
    if rule == "zero":
        return abs(polynomial(arguments[0], answer)) <= max(atol, MIN_ATOL)
    if rule == "set":
        return set(answer) == set(expected)
    if rule == "present":
        return (answer if isinstance(answer, bool) else answer is not None) == expected
    if answer == expected or rule == "any":
        return True
    if rule == "sum_div":
        return answer == 0
    if rule == "surface_Area":
        return abs(answer - surface_area(*arguments)) <= atol
    return rule == "digit_distance_nums" and answer == digit_distance(*arguments)


def polynomial(coefficients: list[float], x: float) -> float:
    """The value at x of the polynomial with these coefficients, the constant one first."""
    return sum(coefficient * math.pow(x, power) for power, coefficient in enumerate(coefficients))


def surface_area(base: float, height: float) -> int:
    """The rounded surface of a square pyramid, where the height is that of its apex, not of a face."""
    return round(base**2 + 4 * (base * math.sqrt((base / 2) ** 2 + height**2)) / 2)


def digit_distance(one: int, other: int) -> int:
    """The sum of the differences of the digits, where the shorter number is filled up with zeros."""
    width = max(len(str(one)), len(str(other)))
    pairs = zip(str(one).zfill(width), str(other).zfill(width), strict=True)
    return sum(abs(int(left) - int(right)) for left, right in pairs)


def _is_floats(value: Any) -> bool:
    items = value if isinstance(value, (list, tuple)) else [value]
    return bool(items) and all(isinstance(item, float) for item in items)


def within(answer: Any, expected: Any, atol: float) -> bool:
    """Whether both have the same type, are numbers or lists of numbers of the same shape, and all numbers are close."""
    wanted = _numbers(expected) if type(answer) is type(expected) else None
    found = _numbers(answer) if wanted else None
    if wanted is None or found is None or wanted[0] != found[0]:
        return False
    if wanted[0] and any(isinstance(item, int) and not -(1 << 63) <= item < 1 << 64 for item in wanted[1]):
        return False  # numpy cannot tell whether they are finite
    return all(close(one, other, atol, RTOL) for one, other in zip(found[1], wanted[1], strict=True))


def _numbers(value: Any) -> tuple[list[int], list[Any]] | None:
    """(the shape, all numbers) of a number or of a regular array in nested lists; None for any other value."""
    shape: list[int] = []
    items = [value]
    while items and isinstance(items[0], (list, tuple)):
        length = len(items[0])
        regular = all(isinstance(each, (list, tuple)) and len(each) == length for each in items)
        if not regular or len(shape) == MAX_DEPTH:
            return None
        shape.append(length)
        items = [item for each in items for item in each]
    # numpy's scalars as Python's numbers
    items = [item.item() if hasattr(item, "item") and not hasattr(item, "__len__") else item for item in items]
    return (shape, items) if all(isinstance(item, (int, float, complex)) for item in items) else None
