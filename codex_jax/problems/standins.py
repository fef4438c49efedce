"""Stand-ins for objects of classes that the program defines, such as a tree's nodes.

Some of MBPP's tests pass such objects to the function, but the checker, which runs the tests, does not have the
classes. So a test makes stand-ins, describe turns them into plain data, and BUILD, in the program, makes the objects.
"""

from collections.abc import Callable
from typing import Any

# Defines _build in the host, which makes the arguments from the output of describe. `names` has the program's classes.
BUILD = """
def _build(nodes):
    objects = {}
    def build(node):
        kind, content = node
        if kind == "plain":
            return content
        if kind == "seen":
            return objects[content]
        if kind == "object":
            number, name, arguments, attributes = content
            objects[number] = value = names[name](*map(build, arguments))
            for key, item in attributes:
                setattr(value, key, build(item))
            return value
        if kind == "dict":
            return {build(key): build(item) for key, item in content}
        return {"list": list, "tuple": tuple, "set": set}[kind](map(build, content))
    return [build(node) for node in nodes]
"""


class StandIn:
    """Records the name of a class, the arguments of its constructor, and the attributes that are set."""

    def __init__(self, name: str, *arguments: Any) -> None:
        self.__dict__["_construction"] = (name, arguments)


def stand_in_for(name: str) -> Callable[..., StandIn]:
    """A function that a test calls in place of the class `name`."""
    return lambda *arguments: StandIn(name, *arguments)


def describe(arguments: tuple[Any, ...]) -> list[Any]:
    """Plain data from which BUILD makes the arguments. An object that occurs twice remains one object."""
    numbers: dict[int, int] = {}
    return [_node(value, numbers) for value in arguments]


def _node(value: Any, numbers: dict[int, int]) -> list[Any]:
    if isinstance(value, StandIn):
        if id(value) in numbers:
            return ["seen", numbers[id(value)]]
        number = numbers[id(value)] = len(numbers)
        attributes = dict(vars(value))
        name, arguments = attributes.pop("_construction")
        arguments = [_node(item, numbers) for item in arguments]
        return ["object", [number, name, arguments, [[key, _node(item, numbers)] for key, item in attributes.items()]]]
    if type(value) in (list, tuple, set):
        return [type(value).__name__, [_node(item, numbers) for item in value]]
    if type(value) is dict:
        return ["dict", [[_node(key, numbers), _node(item, numbers)] for key, item in value.items()]]
    return ["plain", value]
