"""Writes values as Python source. This source runs in the sandbox too, where it has only the standard library.

A value is written if it is plain data: of the types below alone, so that its source gives an equal value of the same
types. Arguments may also be functions of Python, lambdas that need nothing else, and iterators over plain data.
"""

import ast
import builtins
import cmath
import copy
import datetime
import linecache
import math
import operator
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from functools import cache
from types import BuiltinFunctionType, CodeType, FunctionType, MethodDescriptorType
from typing import Any

MAX_CHARACTERS = 2000  # of a value
MAX_ITEMS = 500  # of a value with all that it contains
MAX_DEPTH = 20
STARS_OR_GENERATOR = 0x04 | 0x08 | 0x20  # flags of code
# What a source may need besides Python's builtins, and how a test imports it.
NAMES: dict[str, Any] = {
    "datetime": datetime,
    "math": math,
    "operator": operator,
    "Counter": Counter,
    "OrderedDict": OrderedDict,
    "defaultdict": defaultdict,
    "deque": deque,
    "Decimal": Decimal,
    "Fraction": Fraction,
}
IMPORTS = {name: f"import {name}" for name in ("datetime", "math", "operator")}
IMPORTS |= {name: f"from collections import {name}" for name in ("Counter", "OrderedDict", "defaultdict", "deque")}
IMPORTS |= {"Decimal": "from decimal import Decimal", "Fraction": "from fractions import Fraction"}
TYPES = (bool, bytes, bytearray, complex, dict, float, frozenset, int, list, object, set, str, tuple, type(None))
FUNCTIONS = (
    abs, all, any, ascii, bin, callable, chr, divmod, hash, hex, isinstance, issubclass, len, max, min, oct, ord, pow,
    repr, round, sorted, sum, enumerate, filter, map, range, reversed, slice, zip, *TYPES[:-1], Decimal, Fraction,
    ValueError, TypeError, KeyError, IndexError, AttributeError, ZeroDivisionError, Exception,
)  # fmt: skip
_ABLE = {id(value): value.__name__ for value in FUNCTIONS}


class _NotPlainError(Exception):
    """The value has no source."""


ITERATORS: tuple[type, ...] = (
    type(iter(())),
    type(iter([])),
    type(iter("")),
    type(iter("\u0100")),
    type(iter(range(0))),
)  # with copies


def write(value: Any, argument: bool = False, items: bool = True) -> str | None:
    """The source of a value; None if it is not plain data, or too large.

    argument: whether it may be, or hold, functions and iterators. items: whether the items of iterators are written.
    """
    try:
        text = _write(value, [MAX_ITEMS, argument, items], 0)
    except _NotPlainError:
        return None
    return text if len(text) <= MAX_CHARACTERS else None


def _write(value: Any, left: list[int], depth: int) -> str:
    """left: how many more values may be written, which is changed, and the two flags of write."""
    left[0] -= 1
    kind = type(value)
    if left[0] < 0 or depth > MAX_DEPTH or (hasattr(value, "__len__") and kind in SIZED and len(value) > SIZED[kind]):
        raise _NotPlainError
    if value is None or kind in (bool, str, bytes, bytearray, range):
        return repr(value)
    if kind is int and value.bit_length() <= MAX_CHARACTERS:
        return repr(value)
    if (kind in (float, complex) and not cmath.isnan(value)) or (kind is Decimal and not value.is_nan()):
        return _number(value)
    if kind is Fraction:
        return repr(value)
    if kind in WRITERS:

        def inner(item: Any) -> str:
            return _write(item, left, depth + 1)

        return WRITERS[kind](value, inner)
    if kind in (datetime.date, datetime.timedelta):
        return repr(value)
    if kind in (datetime.datetime, datetime.time) and type(value.tzinfo) in (type(None), datetime.timezone):
        return repr(value)
    if left[1] and kind in ITERATORS and operator.length_hint(value) <= MAX_ITEMS:
        return f"iter({_write([*copy.copy(value)], left, depth + 1) if left[2] else ''})"
    if left[1] and (text := _function(value)):
        return text
    raise _NotPlainError


def _number(value: Any) -> str:
    if type(value) is complex:
        return f"complex({_number(value.real)}, {_number(value.imag)})"
    infinite = type(value) is float and math.isinf(value)
    return f"float('{value}')" if infinite else repr(value)


def _items(value: Any, inner: Any) -> str:
    return ", ".join([inner(item) for item in value])


def _dict(value: Any, inner: Any) -> str:
    return "{" + ", ".join([f"{inner(key)}: {inner(item)}" for key, item in value.items()]) + "}"


def _set(value: Any, inner: Any) -> str:
    """In an order that does not depend on the seed of hashes."""
    return ", ".join(sorted([inner(item) for item in value]))


def _defaultdict(value: Any, inner: Any) -> str:
    factory = value.default_factory
    if factory is not None and factory not in TYPES:
        raise _NotPlainError
    return f"defaultdict({getattr(factory, '__name__', None)}, {_dict(value, inner)})"


WRITERS: dict[type, Any] = {
    list: lambda value, inner: f"[{_items(value, inner)}]",
    tuple: lambda value, inner: f"({_items(value, inner)}{',' * (len(value) == 1)})",
    set: lambda value, inner: f"{{{_set(value, inner)}}}" if value else "set()",
    frozenset: lambda value, inner: f"frozenset({{{_set(value, inner)}}})" if value else "frozenset()",
    dict: _dict,
    OrderedDict: lambda value, inner: f"OrderedDict([{_items(value.items(), inner)}])",
    Counter: lambda value, inner: f"Counter({_dict(value, inner)})",
    defaultdict: _defaultdict,
    deque: lambda value, inner: f"deque([{_items(value, inner)}]{'' if value.maxlen is None else f', {value.maxlen}'})",
}
SIZED = dict.fromkeys(WRITERS, MAX_ITEMS) | dict.fromkeys((str, bytes, bytearray), MAX_CHARACTERS)


def _function(value: Any) -> str | None:
    """The source of a function."""
    if id(value) in _ABLE:
        return _ABLE[id(value)]
    kind = type(value)
    if kind is MethodDescriptorType:
        owner = value.__objclass__
        return f"{owner.__name__}.{value.__name__}" if owner in TYPES else None
    if kind is BuiltinFunctionType:
        for name in ("operator", "math"):
            if vars(NAMES[name]).get(value.__name__) is value:
                return f"{name}.{value.__name__}"
    return _lambda(value) if kind is FunctionType else None


def _lambda(function: FunctionType) -> str | None:
    """A lambda, or a function that only returns an expression, as a lambda."""
    code = function.__code__
    if code.co_flags & STARS_OR_GENERATOR or function.__defaults__ or function.__kwdefaults__ or code.co_kwonlyargcount:
        return None
    return _lambda_of(code)


@cache
def _file_nodes(name: str) -> dict[int, list[ast.AST]]:
    """The functions of a file by their first line."""
    try:
        tree = ast.parse("".join(linecache.getlines(name)))
    except (SyntaxError, ValueError, RecursionError):
        return {}
    found: dict[int, list[ast.AST]] = {}
    for node in ast.walk(tree):
        if isinstance(node, (ast.Lambda, ast.FunctionDef)):
            found.setdefault(node.lineno, []).append(node)
    return found


@cache
def _lambda_of(code: CodeType) -> str | None:
    if code.co_freevars or code.co_cellvars:
        return None
    for node in filter(None, map(_as_lambda, _file_nodes(code.co_filename).get(code.co_firstlineno, ()))):
        text = ast.unparse(node)
        other = eval(text, {"__builtins__": {}}).__code__
        if (other.co_code, other.co_names, other.co_varnames) != (code.co_code, code.co_names, code.co_varnames):
            continue
        if repr([one for one in other.co_consts if one is not None]) != repr(
            [one for one in code.co_consts if one is not None]
        ):
            continue  # None takes the place of a docstring
        names = {one.id for one in ast.walk(node.body) if isinstance(one, ast.Name)} - {*code.co_varnames}
        return text if all(hasattr(builtins, name) for name in names) else None
    return None


def _as_lambda(node: ast.AST) -> ast.Lambda | None:
    if isinstance(node, ast.Lambda):
        return node
    if isinstance(node, ast.FunctionDef) and not node.decorator_list:
        *rest, last = node.body
        if not rest and isinstance(last, ast.Return) and last.value is not None:
            arguments = ast.parse(f"lambda {', '.join(one.arg for one in node.args.args)}: 0", mode="eval").body
            return ast.Lambda(arguments.args, last.value)  # type: ignore[attr-defined]
    return None
