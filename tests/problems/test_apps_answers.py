import math

import pytest

from codex_jax.problems.apps_answers import restore_arguments, restore_value, same_output, same_return
from tests.problems.judging import run_linear

BIG = 12345678901234567890


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        ("3\n", "3", True),
        ("1 2\n\n3  \n", "1 2\n3\n\n", True),
        ("1  2\t3", "1 2 3", True),
        ("1 2\n3", "1\n2 3", False),
        ("1\r\n2\r\n", "1\n2\n", True),
        ("1\n2", "1\n \n2", True),
        ("1\f2", "1\f2", True),
        ("", "\n", True),
        ("3", "", False),
        ("", "3", False),
        ("1 2", "12", False),
        ("2 1", "1 2", False),
        ("NO\nYES", "YES\nNO", False),
        ("YES", "YES\nYES", False),
        ("1 2 3", "1 2", False),
        ("yes", "YES", False),
        ("0.3333333", "0.33333331", True),
        ("0.3334", "0.3333", True),  # equal with three decimals
        ("0.334", "0.333", False),
        ("3.0", "3", True),
        ("3", "3.0000001", True),
        ("1e3", "1000", True),
        ("100001", "100000", False),  # close as floats
        ("100001.0", "100000", True),
        (f"{BIG}", f"{BIG + 1}", False),  # equal as floats
        (f"{BIG}.0", f"{BIG}", True),
        ("1000000000.5", "1000000001", True),
        ("1000000000.5 1", "1000000001 1", False),  # several numbers on a line must be equal with three decimals
        ("1000000000.5\n1", "1000000001\n1", True),
        ("0.0004 1", "0.0 1", True),
        ("Case 1: 0.5", "Case 1: 0.50", False),  # only numbers are compared as numbers
        ("nan", "NaN", False),
        ("nan", "nan", True),
        ("nan 1", "nan 1.0", False),
        ("inf", "1e999", True),
        ("inf", "-inf", False),
        ("1", "inf", False),
        ("1_0", "10.0", True),
        ("007", "7", False),
        ("-0.0", "0", True),
        ("\u0663", "3.0", True),
    ],
)
def test_outputs_by_lines(actual, expected, same):
    assert same_output(actual, expected) is same


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (3, 3, True),
        (3, [3], True),  # wrapped in a list
        ([3], [3], True),
        (3, [3, 4], False),
        ((1, [2]), [1, [2]], True),
        ((1, (2,)), [1, [2]], False),
        ([1, 2], [[1, 2]], True),
        ([1, 2], [1, 2, 3], False),
        ([(1, 2), (3, 4)], [[[1, 2], [3, 4]]], True),  # tuples in a wrapped list
        ([(1, 2), (3, 4)], [[1, 2], [3, 4]], False),
        ([(1, 2), 3], [[[1, 2], 3]], False),
        ("x", [None], False),
        ({1: "a"}, [{1: "a"}], True),
        ({1: "a"}, {"1": "a"}, False),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        (0.1 + 0.2, 0.3, False),
        (3.0, 3, True),
        (True, 1, True),
        (BIG, BIG + 1, False),
        ({1, 2}, [1, 2], False),
        ("3", 3, False),
        (None, [], False),
        (None, None, True),
        (math.nan, 1.0, False),
        (10**400, 1.5, False),
    ],
)
def test_returned_values(actual, expected, same):
    assert same_return(actual, expected) is same


def test_integer_keys_are_restored_where_the_official_grader_does():
    assert restore_arguments([{"1": 2, "-3": 4}]) == [{1: 2, -3: 4}]
    assert restore_arguments([{"1": 2, "a": 4}]) == [{"1": 2, "a": 4}]
    assert restore_arguments([{"1": {"2": 3}}, {"4": 5}]) == [{1: {"2": 3}}, {"4": 5}]
    assert restore_arguments([[{"1": 2}]]) == [[{"1": 2}]]
    assert restore_arguments([]) == []
    assert restore_value({"1": 2}) == [{1: 2}]
    assert restore_value({"a": 2}) == {"a": 2}
    assert restore_value([{"1": 2}, {"3": 4}]) == [{1: 2}, {3: 4}]
    assert restore_value([{"a": 2}, {"3": 4}]) == [{"a": 2}, {"3": 4}]
    assert restore_value([3, {"3": 4}]) == [3, {"3": 4}]
    assert restore_value([]) == []


LONG_OUTPUTS = """
from codex_jax.problems.apps_answers import same_output

size = 2 << 20
for actual, expected in (
    ("1" * size + "x", "4"),
    ("1" * size, "4.5"),
    ("0." + "0" * size, "4"),
    ("1e" + "9" * size, "4"),
    ("1_" * size + "1", "4.0"),
    ("1 " * size, "4"),
    ("4" + "\\n" * size + "5", "4 5"),
    ("4" + " \\n" * size + "x", "4\\n5"),
    ("1\\n" * 200_000, "1 " * 200_000),
):
    assert not same_output(actual, expected)
"""


def test_long_outputs_take_linear_time():
    run_linear(LONG_OUTPUTS)
