"""Objects of classes that the program itself defines, such as a tree's nodes, as plain data: how each was made.

Some of MBPP's tests build what they pass of such classes, which are not in the checker.
"""

from collections.abc import Callable
from typing import Any

# In the program: _build gives the arguments that are described.
BUILD = """
def _build(nodes):
    made = {}
    def one(node):
        kind, body = node
        if kind == "plain":
            return body
        if kind == "seen":
            return made[body]
        if kind == "object":
            number, name, arguments, attributes = body
            made[number] = value = globals()[name](*map(one, arguments))
            for key, item in attributes:
                setattr(value, key, one(item))
            return value
        if kind == "dict":
            return {one(key): one(item) for key, item in body}
        return {"list": list, "tuple": tuple, "set": set}[kind](map(one, body))
    return [one(node) for node in nodes]
"""


class StandIn:
    """A stand-in for an object: the name of its class, the arguments it was made with, and what was set on it."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.__dict__["_made"] = (name, arguments)


def maker(name: str) -> Callable[..., StandIn]:
    """What stands for the class."""
    return lambda *arguments: StandIn(name, *arguments)


def describe(arguments: tuple[Any, ...]) -> list[Any]:
    """Plain data of which BUILD makes the arguments; an object that comes again stays one object."""
    seen: dict[int, int] = {}
    return [_node(value, seen) for value in arguments]


def _node(value: Any, seen: dict[int, int]) -> list[Any]:
    if isinstance(value, StandIn):
        if id(value) in seen:
            return ["seen", seen[id(value)]]
        number = seen[id(value)] = len(seen)
        attributes = dict(vars(value))
        name, arguments = attributes.pop("_made")
        made = [_node(item, seen) for item in arguments]
        return ["object", [number, name, made, [[key, _node(item, seen)] for key, item in attributes.items()]]]
    if type(value) in (list, tuple, set):
        return [type(value).__name__, [_node(item, seen) for item in value]]
    if type(value) is dict:
        return ["dict", [[_node(key, seen), _node(item, seen)] for key, item in value.items()]]
    return ["plain", value]
