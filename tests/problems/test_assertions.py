import pytest

from codex_jax.errors import InputError
from codex_jax.problems.assertions import defined_names, parse, used_names, value_use


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ("assert f(1) == 2", "value"),
        ("assert f(1)", "truth"),
        ("assert not f(1)\nassert (f(2))", "truth"),
        ("assert not f(1)\nassert f(2) == 3", "value"),
        ("assert set(f(1)) == set([2])", "set"),
        ("assert set(f(1)) == {2}", "set"),
        ("assert set(f(1)) <= {2}", "items"),
        ("assert set(f(1)) <= set([2])", "items"),
        ("assert set(f(1)) != set([2])", "items"),
        ("assert len(set(f(1))) == 2", "items"),
        ("assert list(f(1)) == [2]\nassert sorted(f(2)) == [3]", "items"),
        ("assert f(1)[0] == 2", "value"),
        ("assert f(f(1)) == 2", "value"),
        ("assert g(f(1)) == 2", "value"),
    ],
)
def test_how_a_value_is_used(tests, expected):
    assert value_use(parse(tests, "t"), "f") == expected


def test_used_and_defined_names():
    assert used_names(parse("assert a.b(c(1)) == d(2)\nassert e(c[3])", "t")) == {"a", "c", "d", "e"}
    source = """
import os.path, math as m
from json import loads, dumps as d
def f(x):
    y = x
class C:
    z = 1
    def g(self): pass
A, (B, *E) = 1, (2, 3)
if A:
    try:
        F = lambda w: w
    except KeyError:
        G: int = 3
for H in ():
    pass
A.attribute = 3
"""
    names = {"os", "m", "loads", "d", "f", "C", "A", "B", "E", "F", "G", "H"}
    assert defined_names(parse(source, "t")) == names


def test_source_that_is_not_python():
    with pytest.raises(InputError, match="the test is not Python"):
        parse("assert (", "the test")
