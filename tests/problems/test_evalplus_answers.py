import math

import pytest

from codex_jax.problems.evalplus_answers import check_against, like_reference

BIG = 12345678901234567890


@pytest.mark.parametrize(
    ("actual", "expected", "atol", "same"),
    [
        (3, 3, 0, True),
        (4, 3, 0, False),
        (1.0000005, 1.0, 0, True),
        (1.00001, 1.0, 0, False),
        ([1.0, 2.0000005], [1.0, 2.0], 0, True),
        ([1.0, 2.0000005], [1, 2.0], 0, False),  # not all expected values are floats
        ([1.0], [1.0, 2.0], 0, False),
        ((1.0000005,), [1.0], 0, False),
        (1, 1.0000005, 0, False),  # another type
        (3.05, 3.0, 0.1, True),
        ([[3.05]], [[3.0]], 0.1, True),
        ({"a": 3.05}, {"a": 3.0}, 0.1, False),
        ([None], [3.0], 0.1, False),
        ([3.0], [None], 0.1, False),
        ([None, 3.05], [None, 3.0], 0.1, True),
        ("a", "b", 0.1, False),
        (True, False, 2, False),
        (None, 3.0, 0, False),
        (math.inf, math.inf, 0, True),
        (math.inf, 1.0, 0.5, False),
        (math.nan, math.nan, 0, True),
        ([], [], 0, True),
        ([1], [], 0, False),
    ],
)
def test_like_the_reference(actual, expected, atol, same):
    assert like_reference(actual, expected, atol) is same


REFERENCE = """\
def pairs(items, count):
    items.append(count)
    return [(item, item / 2) for item in items]

def find_zero(xs):
    return 2.0

def poly(xs, x):
    return sum(c * x**i for i, c in enumerate(xs))
"""


def same_as_reference(candidate, name="pairs", inputs="[[[1], 2], [[], 3]]", atol=0, use="value", types=()):
    """Whether the candidate passes; AssertionError is the only way to fail."""
    try:
        check_against(candidate, REFERENCE, name, inputs, atol, use, types)
    except AssertionError as error:
        return str(error)
    return True


def test_a_candidate_is_compared_on_all_inputs():
    seen = []

    def right(items, count):
        seen.append((list(items), count))
        items.append(count)  # neither this nor the reference's change reaches the other
        return [(item, item / 2) for item in items]

    for _ in range(2):
        assert same_as_reference(right) is True
    assert seen == [([1], 2), ([], 3)] * 2
    assert same_as_reference(lambda items, count: right(items, count) if items else []) == "input 1"
    assert same_as_reference(lambda items, count: right(items, count)[:1]) == "input 0"
    nearly = [[(1, 0.5), (2, 1.01)], [(3, 1.51)]]
    assert same_as_reference(lambda items, count: nearly[count - 2]) == "input 0"
    assert same_as_reference(lambda items, count: nearly[count - 2], atol=0.1) is True


def test_values_are_compared_as_the_assertions_use_them():
    def iterator(items, count):
        return iter([*((item, item / 2) for item in items), (count, count / 2)])

    def backwards(items, count):
        return [(count, count / 2), *((item, item / 2) for item in items)]

    assert same_as_reference(iterator) == "input 0"
    assert same_as_reference(iterator, use="items") is True
    assert same_as_reference(backwards, use="items") == "input 0"
    assert same_as_reference(backwards, use="set") is True
    assert same_as_reference(lambda items, count: "yes", use="truth") is True
    assert same_as_reference(lambda items, count: 0, use="truth") == "input 0"


def test_arguments_get_their_types():
    def candidate(items, count):
        return [(item, item / 2) for item in items] if type(items) is tuple else None

    reference = "def pairs(items, count):\n    return [(item, item / 2) for item in items]\n"
    check_against(candidate, reference, "pairs", "[[[1], 2]]", 0, "value", (((0,), "tuple"),))
    with pytest.raises(AssertionError, match="input 0"):
        check_against(candidate, reference, "pairs", "[[[1], 2]]", 0, "value", ())


def test_any_zero_of_a_polynomial_is_right():
    zeros = "[[[-6, 11, -6, 1]]]"  # of (x - 1)(x - 2)(x - 3)
    for zero in (1, 2.0, 3.0000001):
        assert same_as_reference(lambda xs, zero=zero: zero, "find_zero", zeros) is True
    assert same_as_reference(lambda xs: 1.001, "find_zero", zeros) == "input 0"  # its value is 0.002
    assert same_as_reference(lambda xs: 1.001, "find_zero", zeros, atol=0.01) is True


def test_a_failing_reference_is_named():
    with pytest.raises(RuntimeError, match="the reference solution fails on input 1: ZeroDivisionError"):
        check_against(lambda x: 0, "def f(x):\n    return 1 / x\n", "f", "[[1], [0]]", 0, "value", ())
