import datetime as dt
import enum
import math
from abc import ABC
from array import array
from collections import Counter, OrderedDict, UserList, defaultdict, deque, namedtuple
from decimal import Decimal
from fractions import Fraction

import pytest

from codex_jax.sandbox.forms import CHANGEABLE, CLASSES, CarryError, assign, contents, parts_of
from tests.sandbox.test_values import carried, same

OFFSET = dt.timezone(dt.timedelta(hours=-2, minutes=30))
VALUES = [
    *(None, True, 0, 2**63, -(10**400), 1.5, -0.0, math.inf, "a", b"", b"\xff\0", bytearray(b"a"), 1j),
    complex(-0.0, math.inf),
    *((), [], set(), frozenset(), {}, {(1, 2): [3]}, {frozenset({1, (2, 3)})}),
    *(range(0, 10, 3), slice(1, None, 2), ..., NotImplemented),
    *(Fraction(-1, 3), Decimal("1.10"), Decimal("-0"), Decimal("Infinity"), Decimal("1e999999")),
    *(dt.date(2020, 2, 29), dt.time(1, 2, 3, 4), dt.timedelta(-1, 2, 3), dt.UTC, OFFSET),
    dt.datetime(2020, 1, 2, 3, 4, 5, 6, OFFSET, fold=1),
    dt.datetime.max,
    *(deque([1, [2]], 5), deque(), Counter("aab"), OrderedDict([(2, 1), (1, 2)])),
    *(defaultdict(list, {1: [2]}), defaultdict(None, a=1), array("d", [1.5]), array("b"), array("u", "aé")),
    *(int, type, ValueError, deque, Fraction),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_types_survive(value):
    made = carried(value)
    assert type(made) is type(value)
    assert made == value
    assert repr(made) == repr(value)


def test_properties_that_equality_does_not_show():
    moment = carried(dt.datetime(2020, 1, 2, tzinfo=OFFSET, fold=1))
    assert (moment.fold, moment.utcoffset()) == (1, OFFSET.utcoffset(None))
    assert carried(deque([1], 3)).maxlen == 3
    assert carried(defaultdict(int))[5] == 0
    with pytest.raises(KeyError):
        carried(defaultdict(lambda: 1))[5]
    moved = OrderedDict(a=1, b=2)
    moved.move_to_end("a")
    assert list(carried(moved)) == ["b", "a"]
    assert bytes(carried(memoryview(b"ab"))) == b"ab"
    assert math.isnan(carried(Decimal("NaN")))


@pytest.mark.parametrize("kind", [dict, OrderedDict])
def test_views_are_views_of_a_new_dict(kind):
    source = kind([(1, [2]), ("a", 3)])
    keys, values, items = carried((source.keys(), source.values(), source.items()))
    assert [type(view) for view in (keys, values, items)] == [
        type(view) for view in (source.keys(), source.values(), source.items())
    ]
    assert keys == {1, "a"}
    assert (list(values), list(items)) == ([[2], 3], [(1, [2]), ("a", 3)])


class Number(enum.IntEnum):
    ONE = 1


class Colour(str, enum.Enum):  # noqa: UP042  its str() differs from its text
    RED = "red"


class Rows(list):
    pass


class Later(dt.datetime):
    pass


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Number.ONE, 1),
        (Colour.RED, "red"),
        (Rows([1, Rows()]), [1, []]),
        (namedtuple("P", "x y")(1, [2]), (1, [2])),
        (type("Half", (float,), {})(0.5), 0.5),
        (type("Text", (str,), {"__str__": lambda self: "other"})("own"), "own"),
        (type("Table", (dict,), {"__missing__": lambda self, key: 1})(a=1), {"a": 1}),
        (type("Votes", (Counter,), {})("aab"), Counter("aab")),
        (type("Queue", (deque,), {})([1], 2), deque([1], 2)),
        (type("Lists", (defaultdict,), {})(list, a=1), defaultdict(list, a=1)),
        (Later(2020, 1, 1), dt.datetime(2020, 1, 1)),
    ],
    ids=str,
)
def test_subclasses_become_what_they_extend(value, expected):
    assert same(carried(value), expected)


def test_classes_of_no_table_cannot_be_carried():
    assert not {"exit", "eval", "BuiltinImporter", "__loader__"} & CLASSES.keys()
    for kind in (type("int", (int,), {}), Colour, ABC):
        with pytest.raises(CarryError):
            parts_of(kind)
    assert parts_of(UserList([1])) is None


ASSIGNED = {
    list: ([1], [2, 3]),
    set: ({1}, {2, 3}),
    dict: ({1: 2}, {3: 4, 5: 6}),
    deque: (deque([1], 2), deque([2, 3], 2)),
    bytearray: (bytearray(b"a"), bytearray(b"bc")),
    Counter: (Counter("aab"), Counter("b")),
    OrderedDict: (OrderedDict(a=1, b=2), OrderedDict(b=1, a=2)),
    defaultdict: (defaultdict(int, a=1), defaultdict(int, b=1)),
    array: (array("i", [1]), array("i", [2, 3])),
}


@pytest.mark.parametrize("kind", ASSIGNED, ids=str)
def test_contents_can_be_assigned(kind):
    target, value = ASSIGNED[kind]
    assert contents(target) != contents(value)
    assign(target, value)
    assert target == value
    assert contents(target) == contents(value)
    assert set(ASSIGNED) == CHANGEABLE


def test_contents_are_assigned_to_a_subclass_without_its_methods():
    class Loud(list):
        def __setitem__(self, *_):
            raise AssertionError

    target = Loud([1])
    assign(target, [2])
    assert target == [2]


@pytest.mark.parametrize(
    ("target", "value"), [([1], (1,)), ((1,), (2,)), ([], {}), ({}, Counter()), (1, 2), (Ellipsis, [])], ids=repr
)
def test_contents_of_another_type_are_not_assigned(target, value):
    with pytest.raises(TypeError):
        assign(target, value)
