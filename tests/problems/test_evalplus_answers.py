import math
import re

import numpy as np
import pytest

from codex_jax.problems.evalplus_answers import accepts, check_against, within


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
        ([None, 3.05], [None, 3.0], 0.1, False),  # not all are numbers
        ([[3.0], [3.0, 3.05]], [[3.0], [3.0, 3.0]], 0.1, False),  # not an array
        ([[3.0], [3.0]], [[3.0, 3.0], [3.0, 3.0]], 0.1, False),
        ([(3.05, 1)], [[3.0, True]], 0.1, True),
        (1.05j, 1j, 0.1, True),
        ({3.05}, {3.0}, 0.1, False),
        ("3.05", "3.0", 0.1, False),
        ([10**20, 3.05], [10**20, 3.0], 0.1, False),
        ([10**20, 3.05], [1e20, 3.0], 0.1, True),  # the expected numbers alone must fit into numpy's integers
        (10**20 + 1, 10**20, 0.1, True),
        ("a", "b", 0.1, False),
        (True, False, 0.5, False),
        (True, False, 2, True),  # EvalPlus compares them as numbers
        (None, 3.0, 0, False),
        (math.inf, math.inf, 0, True),
        (math.inf, 1.0, 0.5, False),
        (math.nan, math.nan, 0, True),
        ([], [], 0, True),
        ([1], [], 0, False),
    ],
)
def test_an_answer_like_the_reference_s(actual, expected, atol, same):
    def given(value):
        return f"def f():\n    return {value!r}\n".replace("nan", "float('nan')").replace("inf", "float('inf')")

    assert same_as_reference(lambda: actual, "f", "[[]]", atol, reference=given(expected)) == (same or "input 0")


REFERENCE = """\
def pairs(items, count):
    items.append(count)
    return [(item, item / 2) for item in items]

def find_zero(xs):
    return 2.0
"""


def same_as_reference(
    candidate, name="pairs", inputs="[[[1], 2], [[], 3]]", atol=0, rule="value", reference=REFERENCE, **types
):
    """Whether the candidate passes; AssertionError is the only way to fail."""
    try:
        check_against(candidate, reference, name, inputs, atol, rule, **types)
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


def test_only_the_items_count():
    def iterator(items, count):
        return iter([*((item, item / 2) for item in items), (count, count / 2)])

    def backwards(items, count):
        return [(count, count / 2), *((item, item / 2) for item in items)]

    assert same_as_reference(iterator) == "input 0"
    assert same_as_reference(iterator, rule="items") is True
    assert same_as_reference(backwards, rule="items") == "input 0"
    assert same_as_reference(backwards, rule="set") is True
    assert same_as_reference(lambda items, count: backwards(items, count) * 2, rule="set") is True


@pytest.mark.parametrize(
    ("answers", "present", "truth_of_a_match", "truth_of_a_bool"),
    [
        ((True, False), True, True, True),
        ((True, None), True, True, False),
        ((re.match("a", "a"), None), True, True, False),
        ((1, 0), False, False, True),
        ((True, ""), False, False, False),
        ((True, []), False, False, False),
        ((None, False), False, False, False),
    ],
)
def test_a_boolean_is_not_any_false_value(answers, present, truth_of_a_match, truth_of_a_bool):
    match = "import re\ndef f(x):\n    return re.match('a', x)\n"
    boolean = "def f(x):\n    return x == 'a'\n"
    for rule, reference, same in (
        ("present", match, present),
        ("truth", match, truth_of_a_match),
        ("truth", boolean, truth_of_a_bool),
    ):
        given = iter(answers)
        found = same_as_reference(lambda x, given=given: next(given), "f", '[["a"], ["b"]]', 0, rule, reference)
        assert (found is True) is same, (rule, reference)


def test_second_answers_of_mbpp_s_tasks():
    assert accepts("any", None, True, [], 0)
    assert [accepts("sum_div", answer, 7, [8], 0) for answer in (7, 0, 8)] == [True, True, False]
    assert [accepts("surface_Area", answer, 33, [3, 4], 0) for answer in (33, 35, 34)] == [True, True, False]
    assert [accepts("digit_distance_nums", n, 69, [123, 54], 0) for n in (69, 5, 6)] == [True, True, False]


def test_a_tolerance_for_floats_remains_for_the_inputs_after_it():
    reference = "def f(n):\n    return n / 3 if n == 1 else [n, n / 7]\n"

    def noisy(n):
        return n / 3 + 1e-7 if n == 1 else [n, n / 7 + 1e-7]

    assert same_as_reference(noisy, "f", "[[1], [2]]", reference=reference) is True
    assert same_as_reference(noisy, "f", "[[2], [1]]", reference=reference) == "input 0"
    assert within([2, 2 / 7], [2, 2 / 7 + 1e-7], 1e-6)


def test_numpy_s_scalars_are_numbers():
    for number in (np.int64(2), np.uint8(2), np.float32(2), np.complex64(2), 2):
        assert within([number, 0.5], [2, 0.5 + 1e-7], 1e-6)
        assert within([number - 2, 0.5], [1, 0.5], 1e-6) is False
    assert within([np.bool_(True)], [True], 1e-6)
    assert within([np.str_("2")], ["2"], 1e-6) is False


def test_arguments_get_their_types():
    def candidate(items, count):
        return [(item, item / 2) for item in items] if type(items) is tuple else None

    reference = "def pairs(items, count):\n    return [(item, item / 2) for item in items]\n"
    given = {"inputs": "[[[1], 2]]", "reference": reference}
    assert same_as_reference(candidate, **given, task=250) is True
    assert same_as_reference(candidate, **given, assertion="assert pairs((5, 6), 1)") is True
    # The assertion runs as far as it can, in the namespace of the reference solution and with infinity.
    assertion = "unknown\nassert pairs((len(pairs((), inf)),), 1) == 3"
    assert same_as_reference(candidate, **given, assertion=assertion) is True
    assert same_as_reference(candidate, **given, assertion="assert pairs([5, 6], 1)") == "input 0"
    assert same_as_reference(candidate, **given) == "input 0"


def test_a_reference_with_a_data_class():
    reference = "from __future__ import annotations\nimport dataclasses\n@dataclasses.dataclass\nclass A:\n    x: int\n"
    reference += "def f(x):\n    return A(x).x\n"
    assert same_as_reference(lambda x: x, "f", "[[1]]", reference=reference) is True


def test_any_zero_of_a_polynomial_is_right():
    zeros = "[[[-6, 11, -6, 1]]]"  # of (x - 1)(x - 2)(x - 3)
    for zero in (1, 2.0, 3.0000001):
        assert same_as_reference(lambda xs, zero=zero: zero, "find_zero", zeros, rule="zero") is True
    assert same_as_reference(lambda xs: 1.001, "find_zero", zeros, rule="zero") == "input 0"  # its value is 0.002
    assert same_as_reference(lambda xs: 1.001, "find_zero", zeros, atol=0.01, rule="zero") is True


def test_a_failing_reference_is_named():
    with pytest.raises(RuntimeError, match="the reference solution fails on input 1: ZeroDivisionError"):
        check_against(lambda x: 0, "def f(x):\n    return 1 / x\n", "f", "[[1], [0]]", 0)
