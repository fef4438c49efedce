"""Programs that differ a little from a right one, and inputs that differ a little from given ones."""

import ast
import copy
import random
from collections.abc import Iterator
from typing import Any

# A program returns this instead of its value. `deep` maps a function over the numbers of nested lists and tuples.
VALUES = {
    "reversed": "value[::-1] if isinstance(value, (list, tuple, str)) else value",
    "list for tuple": "list(value) if isinstance(value, tuple) else value",
    "tuple for list": "tuple(value) if isinstance(value, list) else value",
    "inner lists for tuples": "type(value)(list(v) if isinstance(v, tuple) else v for v in value)"
    " if isinstance(value, (list, tuple)) else value",
    "set": "set(value) if isinstance(value, (list, tuple)) else value",
    "sorted": "sorted(value) if isinstance(value, (list, tuple, set)) else value",
    "iterator": "iter(value) if isinstance(value, (list, tuple, set)) else value",
    "one item less": "value[:-1] if isinstance(value, (list, tuple, str)) else value",
    "repeated item": "value + value[-1:] if isinstance(value, (list, tuple, str)) else value",
    "noise 1e-7": "deep(lambda x: x + 1e-7 if isinstance(x, float) else x, value)",
    "noise 1e-5": "deep(lambda x: x + 1e-5 if isinstance(x, float) else x, value)",
    "relative noise 5e-8": "deep(lambda x: x * (1 + 5e-8) if isinstance(x, float) else x, value)",
    "int for float": "deep(lambda x: int(x) if isinstance(x, float) else x, value)",
    "float for int": "deep(lambda x: float(x) if type(x) is int else x, value)",
    "bool for int": "deep(lambda x: bool(x) if type(x) is int and x in (0, 1) else x, value)",
    "int for bool": "deep(lambda x: int(x) if isinstance(x, bool) else x, value)",
    "text": "str(value)",
    "None": "None",
    "None for false": "value or None",
    "empty text for false": "value or ''",
    "0 for false": "value or 0",
    "empty list for false": "value or []",
    "1 for true": "1 if value is True else value",
    "in a list": "[value]",
    "negative": "deep(lambda x: -x, value)",
    "off by one": "deep(lambda x: x + 1, value)",
    "not a number": "deep(lambda x: float('nan') if isinstance(x, float) else x, value)",
    "wrong at the third call": "value if len(calls) < 3 else None",
    "wrong for other inputs": "value if arguments == calls[0] else None",
    "the argument": "arguments[0]",
    "the changed argument": "arguments[0].clear() or value if hasattr(arguments[0], 'clear') else value",
    "ValueError": "int('x')",
    "SystemExit": "__import__('sys').exit(0)",
    "ends the process": "__import__('os')._exit(0)",
}
VALUE = """

import copy as _copy
_right, calls = {name}, []

def deep(change, value):
    if isinstance(value, (list, tuple)):
        return type(value)([deep(change, item) for item in value])
    return change(value) if isinstance(value, (int, float)) else value

def {name}(*arguments, **named):
    calls.append(_copy.deepcopy(arguments))
    value = _right(*arguments, **named)
    return {value}
"""
SWAPS: dict[type, type] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.FloorDiv,
    ast.FloorDiv: ast.Div,
    ast.Mod: ast.FloorDiv,
    ast.And: ast.Or,
    ast.Or: ast.And,
}


def mutants(program: str, name: str, count: int, seed: str) -> Iterator[tuple[str, str]]:
    """(what was changed, the program) pairs: two of three change the value that the function returns."""
    if not count:
        return
    generator = random.Random(seed)
    kinds = generator.sample(sorted(VALUES), min(count, len(VALUES)))
    for number, kind in enumerate(kinds):
        changed = _changed_source(program, generator) if number % 3 == 2 else None
        if changed:
            yield changed
        else:
            yield kind, program + VALUE.format(name=name, value=VALUES[kind])
    other = generator.randrange(8)
    if other == 0:
        yield "cut short", program[: len(program) * 2 // 3] + " ("
    elif other == 1:
        yield "not Python", program + "\n    ):\n"
    elif other == 2:
        yield "another name", program + f"\n_other = {name}\ndel {name}\n"
    elif other == 3:
        yield "fails when it is loaded", program + "\nraise ValueError\n"


def _changed_source(program: str, generator: random.Random) -> tuple[str, str] | None:
    """The program with one operator, or number changed; None if it has none, or a while loop, which might not end."""
    tree = ast.parse(program)
    nodes = list(ast.walk(tree))
    sites = [
        node
        for node in nodes
        if (isinstance(node, (ast.BinOp, ast.BoolOp, ast.AugAssign)) and type(node.op) in SWAPS)
        or (isinstance(node, ast.Compare) and type(node.ops[0]) in SWAPS)
        or (isinstance(node, ast.Constant) and type(node.value) in (int, bool, float))
    ]
    if not sites or any(isinstance(node, ast.While) for node in nodes):
        return None
    site = generator.choice(sites)
    if isinstance(site, ast.Constant):
        site.value = not site.value if isinstance(site.value, bool) else site.value + 1
    elif isinstance(site, ast.Compare):
        site.ops[0] = SWAPS[type(site.ops[0])]()
    else:
        site.op = SWAPS[type(site.op)]()
    return f"another {type(site).__name__}", ast.unparse(tree)


def other_inputs(inputs: list[list[Any]], count: int, seed: str) -> list[list[Any]]:
    """New argument lists: each changes one argument of a given one, and keeps its type."""
    generator = random.Random(seed)
    found = []
    for _ in range(count if inputs else 0):
        arguments = copy.deepcopy(generator.choice(inputs))
        if arguments:
            place = generator.randrange(len(arguments))
            arguments[place] = _changed(arguments[place], generator)
        found.append(arguments)
    return found


def _changed(value: Any, generator: random.Random) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + generator.choice((-2, -1, 1, 2, 3))
    if isinstance(value, (float, complex)):
        return value * generator.choice((-1, 0.5, 1.25))
    if isinstance(value, str):
        cut = generator.randrange(len(value) + 1)
        return generator.choice((value[:cut], value[cut:], value[:cut] + "a" + value[cut:], value[::-1], value * 2))
    if isinstance(value, (list, tuple)):
        items = list(value)
        choice = generator.randrange(5) if items else 4
        if choice == 0:
            items.pop(generator.randrange(len(items)))
        elif choice == 1:
            items.append(generator.choice(items))
        elif choice == 2:
            items.reverse()
        elif items:
            place = generator.randrange(len(items))
            items[place] = _changed(items[place], generator)
        return type(value)(items)
    if isinstance(value, set):
        return set(list(value)[1:])
    if isinstance(value, dict) and value:
        key = generator.choice(list(value))
        return {**value, key: _changed(value[key], generator)}
    return value
