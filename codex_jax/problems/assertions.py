"""What MBPP's assertions say beside what they check: the function, its arguments' types, how its value is used."""

import ast
import warnings
from collections.abc import Iterator
from typing import Any

from codex_jax.errors import InputError

# What takes any iterable: an iterator is as good as a list there.
ITERATING = {"list", "set", "sorted", "tuple", "sum", "any", "all", "max", "min", "frozenset"}
# Places in the arguments, with * for any item, and the one type seen there, where JSON has another.
Kinds = tuple[tuple[tuple, str], ...]
KEPT = {"tuple", "set", "complex", "float"}


def parse(source: str, what: str) -> ast.Module:
    """The syntax tree; InputError names what is not Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escapes in strings
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{what} is not Python: {error}") from None


def called(tree: ast.AST) -> list[str]:
    """The names that are called, in the order of the text."""
    calls = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    return [name.id for name in sorted(calls, key=lambda name: (name.lineno, name.col_offset))]


def use(tree: ast.AST, name: str) -> str:
    """How the function's value is used by all of the assertions alike.

    "truth": only whether it is true; "set": its items whatever their order; "items": its items; "value": in any way.
    """
    found = set()
    for node in ast.walk(tree):
        for child in ast.iter_child_nodes(node):
            if _calls(child, name):
                found.add(_context(node))
    if found == {"set"} and not all(_compares_sets(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)):
        return "items"
    return found.pop() if len(found) == 1 else "items" if found == {"set", "items"} else "value"


def _calls(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _context(parent: ast.AST) -> str:
    if isinstance(parent, ast.Assert) or (isinstance(parent, ast.UnaryOp) and isinstance(parent.op, ast.Not)):
        return "truth"
    if isinstance(parent, ast.Call) and isinstance(parent.func, ast.Name) and parent.func.id in ITERATING:
        return "set" if parent.func.id == "set" else "items"
    return "value"


def _compares_sets(node: ast.Assert) -> bool:
    """assert set(...) == set(...)."""
    test = node.test
    return isinstance(test, ast.Compare) and all(_calls(side, "set") for side in (test.left, *test.comparators))


def kinds(tree: ast.AST, name: str) -> Kinds:
    """The types of the arguments in the assertions, as far as these are literals."""
    found: dict[tuple, set[str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _calls(node, name):
            for number, argument in enumerate(node.args):
                try:
                    value = ast.literal_eval(argument)
                except (ValueError, SyntaxError, TypeError):
                    continue
                for place, kind in _places((number,), value):
                    found.setdefault(place, set()).add(kind)
    return tuple((place, min(seen)) for place, seen in found.items() if len(seen) == 1 and seen <= KEPT)


def _places(place: tuple, value: Any) -> Iterator[tuple[tuple, str]]:
    yield place, type(value).__name__
    items = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple, set)) else ()
    for item in items:
        yield from _places((*place, "*"), item)


def restore(arguments: list[Any], found: Kinds) -> list[Any]:
    """Arguments that were written as JSON, with the types that they have in the assertions."""
    places = dict(found)
    return [_restored((number,), value, places) for number, value in enumerate(arguments)]


def _restored(place: tuple, value: Any, found: dict[tuple, str]) -> Any:
    seen = found.get(place)
    if isinstance(value, dict):
        return {key: _restored((*place, "*"), item, found) for key, item in value.items()}
    if isinstance(value, list):
        items = [_restored((*place, "*"), item, found) for item in value]
        return tuple(items) if seen == "tuple" else set(items) if seen == "set" else items
    if seen == "complex" and isinstance(value, str):
        return complex(value)
    return float(value) if seen == "float" and type(value) is int else value
