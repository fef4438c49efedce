"""Functions that a test passes to a program: they stay in the checker, and the program asks for their values.

The arguments come from a program and may be anything, so only functions that do nothing but compute are lent: those of
the test's own source, and those of Python below.
"""

import builtins
import inspect
import math
import operator
from collections.abc import Callable
from types import BuiltinFunctionType, FunctionType, MethodDescriptorType
from typing import Any

CHECKER = "checker"  # the name of the module in which a test runs
NAMES = [
    "abs",
    "all",
    "any",
    "ascii",
    "bin",
    "callable",
    "chr",
    "divmod",
    "hash",
    "hex",
    "len",
    "max",
    "min",
    "oct",
    "ord",
    "pow",
    "repr",
    "round",
    "sorted",
    "sum",
    "isinstance",
    "issubclass",
]
COMPUTING = {id(getattr(builtins, name)) for name in NAMES}
COMPUTING |= {id(value) for module in (math, operator) for value in vars(module).values() if callable(value)}
METHODS = (str, bytes, int, float, list, tuple, dict, set, frozenset)
KINDS = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def may_lend(value: Any) -> bool:
    """Whether a program may call this function of the test."""
    kind = type(value)
    if kind is FunctionType:
        return value.__globals__.get("__name__") == CHECKER
    return (kind is BuiltinFunctionType and id(value) in COMPUTING) or (
        kind is MethodDescriptorType and value.__objclass__ in METHODS
    )


def signature_of(function: Callable) -> list | None:
    """The names of the parameters, and how many have no default; None if it has others than positional ones."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (ValueError, TypeError):
        return None
    if any(one.kind not in KINDS for one in parameters):
        return None
    return [[one.name for one in parameters], sum(one.default is one.empty for one in parameters)]


def borrowed(name: str, signature: list | None, call: Callable[..., Any]) -> Callable:
    """A function with this name and signature that makes a call of the other end's function."""

    def function(*args: Any, **kwargs: Any) -> Any:
        return call(args, kwargs)

    function.__name__ = function.__qualname__ = name
    if signature is not None:
        names, required = signature
        kinds = [inspect.Parameter(one, KINDS[1]) for one in names[:required]]
        kinds += [inspect.Parameter(one, KINDS[1], default=None) for one in names[required:]]
        function.__signature__ = inspect.Signature(kinds)  # type: ignore[attr-defined]
    return function
