"""Values as plain JSON: a scalar as itself, and any other value as a list of nodes, the last of which is the value.

A node is [tag, parts] or [tag, parts, extra]; see forms.py. A part is a scalar, {"int": HEX} for a long integer, or
[NUMBER], the node of this number, so that an object that occurs twice remains one object, and may contain itself. A
negative number, from -1 down, stands for an object that the receiver sent before.

Neither direction recurses, so the depth of a value is not limited by Python's stack.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from types import GeneratorType
from typing import Any

from codex_jax.sandbox.forms import FILLERS, HASHED, MAKERS, SCALARS, STARTERS, CarryError, Form, parts_of
from codex_jax.sandbox.lent_functions import may_lend, signature_of
from codex_jax.sandbox.raised import Raised, describe_exception, rebuild_exception
from codex_jax.sandbox.wire import LimitError, WireError

MAX_DEPTH = 10_000  # of a value; Python hashes nested tuples by recursion in C, which is not protected
MAX_EQUAL_HASHES = 1000  # unequal items with one hash; a set takes time with the square of their number
LARGEST_HASH = (1 << 61) - 1  # integers below it are their own hash, so their hashes differ
SAME = frozenset((*SCALARS, list, dict))  # what a part of a node may be
INVALID = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, RecursionError)


class _Open(tuple[Form, list[int], Any]):
    """The form, cell and value of a node that is written once its parts are."""

    __slots__ = ()


def pack(root: Any, hold: Callable[[Any], int], known: Mapping[int, list[int]] | None = None) -> tuple[Any, list]:
    """Returns (the value as plain JSON, the objects of its nodes). CarryError if a type cannot be sent.

    hold: keeps an iterator or a function, and returns its number. known: the part that stands for an object, by its id.
    """
    if type(root) in SCALARS:
        return root, []
    cells = dict(known) if known else {}  # the part that stands for an object, by its id; empty until it is written
    if id(root) in cells:
        return [["same", [cells[id(root)]]]], [root]
    nodes: list[Form] = []
    objects: list[Any] = []  # keeps all objects alive, so that no two have the same id
    stack = [root]
    while stack:
        value = stack.pop()
        if type(value) is _Open:
            form, cell, value = value
            parts = [part if type(part) in SCALARS else cells[id(part)] for part in form[1]]
            form = (form[0], parts, *form[2:])
        elif id(value) in cells:
            continue
        else:
            cell = cells[id(value)] = []
            form = parts_of(value) or _special(value, hold)
            if not SCALARS.issuperset(map(type, form[1])):
                stack.append(_Open((form, cell, value)))
                stack += [part for part in form[1] if type(part) not in SCALARS and id(part) not in cells]
                continue
        cell.append(len(nodes))
        nodes.append(form)
        objects.append(value)
    return nodes, objects


def _special(value: Any, hold: Callable[[Any], int]) -> Form:
    """The form of an exception, an iterator or a function."""
    kind = type(value)
    if issubclass(kind, BaseException):
        value = describe_exception(value)
    if type(value) is Raised:
        return "exception", [value.arguments, value.attributes, value.cause], value.names
    if hasattr(kind, "__next__") and hasattr(kind, "__iter__"):
        return "iterator", [hold(value), kind is GeneratorType]
    if may_lend(value):
        return "function", [hold(value)], [value.__name__, signature_of(value)]
    raise CarryError(kind)


class Unpacker:
    """Makes values of plain JSON, which may be anything, as it comes from a program."""

    def __init__(
        self,
        remote: Callable[[int, bool], Any],
        scope: Mapping[str, Any],
        function: Callable[[int, Any], Any] | None = None,
    ) -> None:
        """remote: makes an iterator of (the number of the sender's iterator, whether that is a generator).

        scope: the exception classes here. function: makes a function of (the number of the sender's, its name and
        signature); None if none may be sent here.
        """
        self._remote, self._function = remote, function
        self._scope = scope

    def unpack(self, graph: Any, sent: Sequence[Any] = (), guarded: bool = False) -> tuple[Any, dict[int, Any]]:
        """Returns (the value, the objects of its nodes by number). WireError if it is malformed, LimitError.

        sent: the objects that negative numbers stand for. guarded: whether to refuse items whose hashes are equal.
        """
        try:
            if type(graph) is not list:
                return _scalar(graph), {}
            if not graph:
                raise ValueError("no nodes")
            made = _Made(graph, sent)
            for number, node in enumerate(graph):
                tag, parts = node[0], node[1]
                if type(parts) is not list:
                    raise TypeError("a node without parts")
                if not SCALARS.issuperset(map(type, parts)):
                    made.resolve(number, parts)
                if tag == "list":
                    made[number] = parts
                elif tag == "tuple":
                    made[number] = tuple(parts)
                else:
                    self._make(made, number, tag, parts, node[2] if len(node) > 2 else None, guarded)
        except INVALID as error:
            raise WireError(f"not a value: {error!r}") from None
        if guarded:
            _check_hashes(graph, made)
        return made[len(graph) - 1], made

    def _make(self, made: "_Made", number: int, tag: str, parts: list, extra: Any, guarded: bool) -> None:
        if guarded and tag in HASHED:
            refuse_equal_hashes(parts if tag in ("set", "frozenset", "keys") else parts[: len(parts) // 2])
        if tag in STARTERS:
            value = made[number]  # it may have been begun by a part that refers to it
            FILLERS[tag](value, parts)
        elif tag == "exception":
            arguments, attributes, cause = parts
            made[number] = rebuild_exception(Raised(extra, arguments, attributes, cause), self._scope)
        elif tag == "iterator":
            made[number] = self._remote(*parts)
        elif tag == "function" and self._function is not None:
            made[number] = self._function(parts[0], extra)
        else:
            made[number] = MAKERS[tag](parts, extra)


class _Made(dict[int, Any]):
    """The objects of a graph's nodes, by number."""

    def __init__(self, nodes: list, sent: Sequence[Any]) -> None:
        self._nodes, self._sent = nodes, sent
        self._depths: dict[int, int] | None = {} if len(nodes) > MAX_DEPTH else None

    def __missing__(self, number: int) -> Any:
        """An object that the receiver sent, or one that can change and is filled later."""
        if number < 0:
            return self._sent[-1 - number]
        tag, parts, *extra = self._nodes[number]
        self[number] = value = STARTERS[tag](parts, *extra or [None])
        return value

    def resolve(self, number: int, parts: list) -> None:
        """Replaces the parts that stand for objects by these objects."""
        if not SAME.issuperset(map(type, parts)):
            raise TypeError("a part of no known kind")
        if self._depths is not None:
            inner = (self._depths.get(part[0], 0) for part in parts if type(part) is list)
            self._depths[number] = depth = 1 + max(inner, default=0)
            if depth > MAX_DEPTH:
                raise LimitError(f"an answer nested more than {MAX_DEPTH:,} deep")
        parts[:] = [
            part if type(part) in SCALARS else self[part[0]] if type(part) is list else int(part["int"], 16)
            for part in parts
        ]


def _scalar(graph: Any) -> Any:
    return int(graph["int"], 16) if type(graph) is dict else graph


def refuse_equal_hashes(items: list) -> None:
    """LimitError if many unequal items have the same hash, so that a set of them would take too long."""
    if len(items) <= MAX_EQUAL_HASHES:
        return
    ((value, count),) = Counter(map(hash, items)).most_common(1)
    if count > MAX_EQUAL_HASHES:
        first, *others = (item for item in items if hash(item) == value)
        if sum(item != first for item in others) > MAX_EQUAL_HASHES:
            raise LimitError(f"more than {MAX_EQUAL_HASHES:,} items with the same hash")


def _check_hashes(nodes: list, made: dict[int, Any]) -> None:
    """Applies refuse_equal_hashes to all that a test may put in a set: long integers and values that cannot change."""
    integers = (part for node in nodes for part in node[1] if type(part) is int)
    longs = [number for number in integers if not -LARGEST_HASH < number < LARGEST_HASH]
    refuse_equal_hashes(longs)
    if len(nodes) > MAX_EQUAL_HASHES:
        values = (made[number] for number, node in enumerate(nodes) if node[0] not in STARTERS)
        refuse_equal_hashes([value for value in values if _is_hashable(value)])


def _is_hashable(value: Any) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True
