"""Finds in source which names it uses and defines, and how assertions compare the value of a function."""

import ast
import warnings

from codex_jax.errors import InputError

# Functions that accept any iterable, so the value passed to them may be an iterator instead of a list.
ITERATING = {"list", "set", "sorted", "tuple", "sum", "any", "all", "max", "min", "frozenset"}


def parse(source: str, what: str) -> ast.Module:
    """Parses Python source. InputError if it is not Python. what: a name for the source in that message."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about invalid escapes in strings
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise InputError(f"{what} is not Python: {error}") from None


def used_names(tree: ast.AST) -> set[str]:
    """All names that the source uses."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


def defined_names(tree: ast.Module) -> set[str]:
    """The names that the source defines on its top level."""
    names: set[str] = set()
    nodes: list[ast.AST] = [*tree.body]
    while nodes:
        node = nodes.pop()
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names |= {alias.asname or alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif not isinstance(node, ast.Lambda):
            nodes += ast.iter_child_nodes(node)
    return names


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
    """Whether the assertion has the form assert set(...) == set(...), or {...} instead of the second set(...)."""
    test = node.test
    return (
        isinstance(test, ast.Compare)
        and all(isinstance(operator, ast.Eq) for operator in test.ops)
        and all(_calls(side, "set") or isinstance(side, ast.Set) for side in (test.left, *test.comparators))
    )
