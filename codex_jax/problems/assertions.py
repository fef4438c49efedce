"""Finds in MBPP's assertions which function they call, the types of its arguments, and how its value is compared."""

import ast
import warnings
from collections.abc import Iterator
from typing import Any

from codex_jax.errors import InputError

# Functions that accept any iterable, so the value passed to them may be an iterator instead of a list.
ITERATING = {"list", "set", "sorted", "tuple", "sum", "any", "all", "max", "min", "frozenset"}
RESTORED = {"tuple", "set", "complex", "float"}  # types that JSON cannot express
# (path, type) pairs. A path is the number of an argument, then "*" for each level of nesting below it.
ArgumentTypes = tuple[tuple[tuple, str], ...]


def parse(source: str, what: str) -> ast.Module:
    """Parses Python source. InputError if it is not Python. what: a name for the source in that message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in strings
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{what} is not Python: {error}") from None


def called_names(tree: ast.AST) -> list[str]:
    """The names of the called functions, in source order."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [name.id for name in sorted(calls, key=lambda name: (name.lineno, name.col_offset))]


def value_use(tree: ast.AST, name: str) -> str:
    """How the assertions use the return value of the function `name`.

    "truth": only its truth value; "set": its items in any order; "items": its items in order; "value": otherwise.
    """
    uses = {_use(node) for node in ast.walk(tree) for child in ast.iter_child_nodes(node) if _calls(child, name)}
    if uses == {"set"} and not all(_compares_sets(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)):
        return "items"
    return uses.pop() if len(uses) == 1 else "items" if uses == {"set", "items"} else "value"


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _use(parent: ast.AST) -> str:
    if isinstance(parent, ast.Assert) or (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)):
        return "truth"
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id in ITERATING:
        return "set" if parent.func.id == "set" else "items"
    return "value"


def _compares_sets(node: ast.Assert) -> bool:
    """Whether the assertion has the form assert set(...) == set(...)."""
    test = node.test
    return isinstance(test, ast.Compare) and all(_calls(side, "set") for side in (test.left, *test.comparators))


def argument_types(tree: ast.AST, name: str) -> ArgumentTypes:
    """The types of literal arguments that JSON cannot express. Paths with several types are left out."""
    types: dict[tuple, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _calls(node, name):
            for number, argument in enumerate(node.args):
                try:
                    value = ast.literal_eval(argument)
                except (ValueError, SyntaxError, TypeError):
                    continue
                for path, kind in _typed_paths((number,), value):
                    types.setdefault(path, set()).add(kind)
    return tuple((path, min(kinds)) for path, kinds in types.items() if len(kinds) == 1 and kinds <= RESTORED)


def _typed_paths(path: tuple, value: Any) -> Iterator[tuple[tuple, str]]:
    yield path, type(value).__name__
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    for item in items:
        yield from _typed_paths((*path, "*"), item)


def restore_types(arguments: list[Any], types: ArgumentTypes) -> list[Any]:
    """Converts arguments read from JSON to the types that they have in the assertions."""
    by_path = dict(types)
    return [_restore((number,), value, by_path) for number, value in enumerate(arguments)]


def _restore(path: tuple, value: Any, types: dict[tuple, str]) -> Any:
    kind = types.get(path)
    if isinstance(value, dict):
        return {key: _restore((*path, "*"), item, types) for key, item in value.items()}
    if isinstance(value, list):
        items = [_restore((*path, "*"), item, types) for item in value]
        return tuple(items) if kind == "tuple" else set(items) if kind == "set" else items
    if kind == "complex" and isinstance(value, str):
        return complex(value)
    return float(value) if kind == "float" and type(value) is int else value
