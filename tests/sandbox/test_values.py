import random
from collections import Counter, namedtuple
from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.sandbox import values
from codex_jax.sandbox.forms import FILLERS, MAKERS, CarryError
from codex_jax.sandbox.values import MAX_DEPTH, Unpacker, pack
from codex_jax.sandbox.wire import LimitError, WireError, dump, parse

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False)
) | (st.text(st.characters()) | st.binary())
hashable = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)
plain = st.recursive(
    scalars | st.sets(hashable, max_size=4) | st.frozensets(hashable, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hashable, inner, max_size=4),
    max_leaves=12,
)


def unpack(graph, sent=(), guarded=False):
    return Unpacker(lambda number, is_generator: (number, is_generator), {}).unpack(graph, sent, guarded)[0]


def carried(value, guarded=False):
    graph = pack(value, lambda _: 0)[0]
    return unpack(parse(dump(["value", graph]))[1], guarded=guarded)


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return a == b


@given(plain)
def test_values_and_types_survive(value):
    assert same(carried(value), value)


def test_corner_values():
    assert carried(10**5000) == 10**5000
    assert carried([10**5000, -(10**9000)]) == [10**5000, -(10**9000)]
    assert carried("\ud800") == "\ud800"
    assert type(carried(Counter("aab"))) is Counter
    assert same(carried(namedtuple("P", "x y")(1, 2)), (1, 2))


@pytest.mark.parametrize("value", [object(), print, [object()], {1: print}, (type("Own", (), {}),), len.__class__])
def test_what_cannot_be_carried_is_named(value):
    with pytest.raises(CarryError, match=r"cannot carry a value of type [a-zA-Z_]+$"):
        pack(value, lambda _: 0)


def test_an_object_that_occurs_twice_remains_one_object():
    row, pair = [0], (1, [2])
    grid = carried([row, row, {"row": row, "pair": pair}, pair])
    assert grid[0] is grid[1] is grid[2]["row"]
    assert grid[2]["pair"] is grid[3]
    rows = carried([[0] * 3] * 3)
    rows[0][0] = 1
    assert rows == [[1, 0, 0]] * 3


def test_equal_objects_remain_two():
    first, second = carried([[0], [0]])
    assert first is not second


def test_a_value_may_contain_itself():
    ring, table = [1], {}
    ring.append((ring, table))
    table["ring"], table["self"] = ring, table
    made = carried(table)
    assert made["self"] is made
    assert made["ring"][1][0] is made["ring"]
    assert made["ring"][1][1] is made


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: (x,), lambda x: {"k": x}, lambda x: [1, {2: (x,)}]])
def test_values_may_be_nested_deep(wrap):
    value = 0
    for _ in range(2500):
        value = wrap(value)
    made = carried(value)
    again = 0
    for _ in range(2500):
        again = wrap(again)
    assert pack(made, lambda _: 0)[0] == pack(again, lambda _: 0)[0]


def test_the_limit_on_depth_is_named():
    value = ()
    for _ in range(MAX_DEPTH - 1):
        value = (value,)
    assert carried(value)
    with pytest.raises(LimitError, match="nested more than 10,000 deep"):
        carried(((value,),))


def test_objects_that_the_receiver_sent_remain_its_own():
    mine, other = [1], {2}
    known = {id(mine): [-1], id(other): [-2]}
    graph = pack([mine, (other, mine)], lambda _: 0, known)[0]
    sent = [["one"], {"two"}]
    made = unpack(graph, sent)
    assert made[0] is sent[0]
    assert made[1][0] is sent[1]
    assert unpack(pack(mine, lambda _: 0, known)[0], sent) is sent[0]


def test_iterators_are_lent():
    lent = []
    numbers = count()
    generator = (x for x in [1])
    graph = pack([numbers, numbers, generator], lambda it: lent.append(it) or len(lent) - 1)[0]
    first, second, third = unpack(graph)
    assert lent[first[0]] is numbers
    assert first[1] is False
    assert second == first
    assert third == (1 - first[0], True)


FORGED = [
    [],
    [5],
    ["ab"],
    [None],
    [{"a": 1}],
    [["list"]],
    [["list", 5]],
    [["list", "ab"]],
    [["object", []]],
    [[["list"], []]],
    [["list", [[7]]]],
    [["list", [[-1]]]],
    [["list", [["x"]]]],
    [["list", [[]]]],
    [["list", [{"int": "x"}]]],
    [["list", [{"hex": "0x1"}]]],
    [["tuple", [[0]]]],
    [["tuple", [[1]]], ["tuple", [[0]]]],
    [["tuple", [[1]]], ["set", [[0]]]],
    [["tuple", [[1]]], ["dict", [[0], 1]]],
    [["frozenset", [[1]]], ["tuple", [[0]]]],
    [["list", []], ["set", [[0]]]],
    [["dict", [1]]],
    [["bytes", ["a"]]],
    [["bytes", []]],
    [["complex", ["a", "b"]]],
    [["range", [1.5]]],
    [["Fraction", [1, 0]]],
    [["Decimal", ["x"]]],
    [["date", [1, 2, 99]]],
    [["class", ["Popen"]]],
    [["class", ["__loader__"]]],
    [["singleton", ["x"]]],
    [["defaultdict", [], "eval"]],
    [["defaultdict", [], "exit"]],
    [["deque", [], -1]],
    [["array", [1], "O"]],
    [["array", ["x"], "i"]],
    [["keys", [], "Counter"]],
    [["exception", [1, 2, 3], [["builtins", "ValueError"]]]],
    [["exception", []]],
    [["iterator", []]],
    {"hex": "0x1"},
]


@pytest.mark.parametrize("graph", FORGED, ids=str)
def test_forged_values_are_refused(graph):
    with pytest.raises(WireError):
        unpack(graph, guarded=True)


def test_no_forged_value_raises_another_error():
    """Random graphs of all tags, with parts and references of all kinds."""
    rng = random.Random(0)
    tags = [*MAKERS, *FILLERS, "list", "tuple", "exception", "iterator", "same"]
    items = [None, True, 0, -1, 1.5, "", "x", "YQ==", {"int": "0x5"}, {}, [0], [1], [2], [-1], [5], [[]], "list", "int"]
    extras = [None, 0, -1, "i", "list", [["builtins", "KeyError"]], [["json", "x"], ["builtins", "OSError"]], "dict"]
    made = 0
    for _ in range(30_000):
        nodes = []
        for _ in range(rng.randint(1, 4)):
            parts = [rng.choice(items) for _ in range(rng.randint(0, 4))]
            nodes.append([rng.choice(tags), parts, *rng.sample(extras, rng.randint(0, 1))])
        try:
            unpack(nodes, [[]], guarded=True)
            made += 1
        except WireError:
            pass
    assert made > 1000  # or the graphs are too random to test anything


STEP = (1 << 61) - 1  # multiples of it have the same hash


@pytest.mark.parametrize(
    "value",
    [
        {n * STEP for n in range(1200)},
        dict.fromkeys(n * STEP for n in range(1200)),
        [n * STEP for n in range(1200)],
        [[n * STEP] for n in range(1200)],
        [(n * STEP, "x") for n in range(1200)],
        {(n * STEP,): 0 for n in range(1200)},
        [complex(n * STEP * 1e30, 0) * 0 + n * STEP for n in range(1)] + [frozenset([n * STEP]) for n in range(1200)],
    ],
    ids=["set", "dict", "list", "lists", "tuples", "keys", "frozensets"],
)
def test_many_items_with_one_hash_are_refused(value):
    with pytest.raises(LimitError, match="1,000 items with the same hash"):
        carried(value, guarded=True)


def test_equal_items_and_a_few_equal_hashes_are_no_attack():
    value = [[2**70] * 5000, [(1, 2)] * 5000, [(n, n) for n in range(5000)], [n * STEP for n in range(900)]]
    assert carried(value, guarded=True) == value
    assert values.MAX_EQUAL_HASHES == 1000
