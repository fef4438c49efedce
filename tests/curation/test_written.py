import datetime
import operator
from collections import Counter, OrderedDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction

import pytest

from codex_jax.curation.written import IMPORTS, MAX_CHARACTERS, MAX_ITEMS, NAMES, write

UTC = datetime.UTC


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -(2**70), 1.5, -0.0, 1e300, float("inf"), -float("inf"), "a'\n", b"\0", [], (1,),
        {"a": [{2: ()}]}, {1, "b"}, set(), frozenset({1, 2}), frozenset(), range(3, 9, 2), bytearray(b"a"), 2 - 3j,
        Decimal("1.10"), Decimal("Infinity"), Fraction(-1, 3), datetime.date(2020, 2, 29), datetime.timedelta(1, 2, 3),
        datetime.datetime(2020, 1, 2, 3, 4, 5, 6, UTC), datetime.time(1, 2), OrderedDict([("b", 1), ("a", [2])]),
        Counter("aab"), defaultdict(list, {1: [2]}), defaultdict(None, {1: 2}), deque([1], 3), deque("ab"),
    ],
)  # fmt: skip
def test_plain_data_survives_a_round_trip(value):
    again = eval(write(value), dict(NAMES))
    assert again == value
    assert type(again) is type(value)
    assert repr(again) == repr(value) or isinstance(value, (set, frozenset))


class Text(str):
    """Its repr looks like plain text."""


CYCLE: list = []
CYCLE.append(CYCLE)
DEEP: list = []
for _ in range(30):
    DEEP = [DEEP]


@pytest.mark.parametrize(
    "value",
    [object(), float("nan"), complex("nan"), Decimal("NaN"), Decimal("sNaN"), Text("a"), [Text("a")], {1: print},
     CYCLE, DEEP, iter([]), "x" * (MAX_CHARACTERS + 1), [0] * (MAX_ITEMS + 1), [[0] * 20] * 400, 1 << 10_000,
     datetime.datetime(2020, 1, 1, tzinfo=type("Zone", (datetime.tzinfo,), {})()), len, operator,
     defaultdict(lambda: 0)],
)  # fmt: skip
def test_what_is_not_plain(value):
    assert write(value) is None


def test_a_set_is_written_in_an_order_of_its_own():
    assert write({"b", "a", 10, 9}) == "{'a', 'b', 10, 9}"


def inc(x):
    return x + 1


def with_default(x, y=1):
    return x


def with_global(x):
    return operator.add(x, 1)


def with_statements(x):
    x += 1
    return x


def closure():
    bound = 3
    return lambda x: x + bound


@pytest.mark.parametrize(
    ("function", "source"),
    [
        (len, "len"), (int, "int"), (operator.add, "operator.add"), (str.upper, "str.upper"), (inc, "lambda x: x + 1"),
        (lambda a, b: a * max(b, 0), "lambda a, b: a * max(b, 0)"),
        ((lambda x: x, lambda y: y == 0)[1], "lambda y: y == 0"),
        (print, None), (open, None), (eval, None), (with_default, None), (with_global, None), (with_statements, None),
        (closure(), None), (lambda *a: a, None), (object(), None),
    ],
)  # fmt: skip
def test_functions_are_written_if_they_need_nothing_else(function, source):
    assert write(function, argument=True) == source
    assert write([function], argument=True) == (source and f"[{source}]")


def test_each_name_can_be_imported():
    for name, text in IMPORTS.items():
        scope: dict = {}
        exec(text, scope)
        assert scope[name] is NAMES[name]
    assert IMPORTS.keys() == NAMES.keys()


def test_iterators_are_written_without_taking_their_items():
    for iterator in (iter([1, "a"]), iter((1, "a"))):
        assert write(iterator, argument=True) == "iter([1, 'a'])"
        assert write(iterator, argument=True, items=False) == "iter()"
        assert write(iterator) is None
        assert next(iterator) == 1
        assert write(iterator, argument=True) == "iter(['a'])"
    assert write(iter(range(3)), argument=True) == "iter([0, 1, 2])"
    assert write([iter("ab")], argument=True) == "[iter(['a', 'b'])]"
    for other in (iter([object()]), iter(range(10**9)), (n for n in range(2)), map(str, [1])):
        assert write(other, argument=True) is None
