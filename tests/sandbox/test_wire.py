import math
from collections import Counter, namedtuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.sandbox.wire import WireError, decode, encode

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.complex_numbers(allow_nan=False)
) | (st.text(st.characters()) | st.binary())
hashable = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)
values = st.recursive(
    scalars | st.sets(hashable, max_size=4) | st.frozensets(hashable, max_size=4),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hashable, inner, max_size=4),
    max_leaves=12,
)


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    return a == b


@given(values)
def test_values_and_types_survive(value):
    assert same(decode(encode(value)), value)


def test_corner_values():
    assert math.isnan(decode(encode(math.nan)))
    assert decode(encode(10**5000)) == 10**5000
    assert decode(encode("\ud800")) == "\ud800"
    assert type(decode(encode(Counter("aab")))) is dict
    assert decode(encode(namedtuple("P", "x y")(1, 2))) == (1, 2)


@pytest.mark.parametrize("value", [object(), print, iter([]), [object()], {1: print}])
def test_values_that_are_not_plain_data_are_refused(value):
    with pytest.raises(WireError):
        encode(value)


def test_values_that_are_too_deep_are_refused():
    deep = []
    for _ in range(5000):
        deep = [deep]
    with pytest.raises(WireError):
        encode(deep)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"NaN",
        b'{"list":[Infinity]}',
        b'{"list":[[]]}',
        b'{"float":"1.0"}',
        b'{"float":[]}',
        b'{"int":"x"}',
        b"1 1",
        b'{"int": 3}',
        b'{"list": "ab"}',
        b'{"set": [{"list": []}]}',
        b'{"x": 1}',
        b'{"a":1,"b":2}',
        b"\xff",
        b'{"list":[' * 50_000,
        b'{"float":"zz"}',
        b'{"dict":[[1]]}',
        b'{"complex":["a","b"]}',
    ],
)
def test_forged_messages_are_refused(data):
    with pytest.raises(WireError):
        decode(data)
