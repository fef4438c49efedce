import math

import pytest

from codex_jax.problems.apps_answers import same_output, same_return

BIG = 12345678901234567890


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        ("3\n", "3", True),
        ("1 2\n3  \n", "1\n2 3\n\n", True),
        ("", "\n", True),
        ("3", "", False),
        ("1 2", "12", False),
        ("2 1", "1 2", False),
        ("1 2 3", "1 2", False),
        ("yes", "YES", False),
        ("0.3333333", "0.33333331", True),
        ("0.3334", "0.3333", False),
        ("3.0", "3", True),
        ("3", "3.0000001", True),
        ("1e3", "1000", True),
        (f"{BIG}", f"{BIG + 1}", False),  # equal as floats
        (f"{BIG}.0", f"{BIG}", True),
        ("1000000000.5", "1000000001", True),
        ("nan", "NaN", False),
        ("inf", "1e999", False),
        ("1_0", "10.0", False),
        ("007", "7", False),
        ("-0.0", "0", True),
        ("٣", "3.0", False),
    ],
)
def test_outputs_by_tokens(actual, expected, same):
    assert same_output(actual, expected) is same


@pytest.mark.parametrize(
    ("actual", "expected", "same"),
    [
        (3, 3, True),
        (3, [3], True),  # wrapped in a list
        ([3], [3], True),
        ((1, (2,)), [1, [2]], True),
        ([1, 2], [[1, 2]], True),
        ([1, 2], [1, 2, 3], False),
        ({1: "a"}, {"1": "a"}, True),
        ({"a": 1}, {"a": 2}, False),
        ({"a": 1}, {"b": 1}, False),
        (0.1 + 0.2, 0.3, True),
        (0.31, 0.3, False),
        (3.0, 3, True),
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
