import math

import pytest

from codex_jax.problems.compare import close, like_reference, read, same_output, same_return

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
        (f"{BIG}", f"{BIG + 1}", False),  # which no float tells apart
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
        (3, [3], True),  # wrapped, as some are
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


@pytest.mark.parametrize(
    ("actual", "expected", "atol", "same"),
    [
        (3, 3, 0, True),
        (4, 3, 0, False),
        (1.0000005, 1.0, 0, True),
        (1.00001, 1.0, 0, False),
        ([1.0, 2.0000005], [1.0, 2.0], 0, True),
        ([1.0, 2.0000005], [1, 2.0], 0, False),  # not floats alone
        ([1.0], [1.0, 2.0], 0, False),
        ((1.0000005,), [1.0], 0, False),
        (1, 1.0000005, 0, False),  # of another type
        (3.05, 3.0, 0.1, True),
        ([[3.05]], [[3.0]], 0.1, True),
        ({"a": 3.05}, {"a": 3.0}, 0.1, False),
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


def test_close_is_absolute_and_relative():
    assert close(1e9 + 1, 1e9, 0, 1e-8)
    assert not close(1e9 + 100, 1e9, 0, 1e-8)
    assert close(0.001, 0, 0.01, 0)
    assert not close(math.inf, -math.inf, 1, 1)
    assert not close(1.0, math.inf, 1, 1)


def test_long_integers_are_read():
    assert read("9" * 5000) == 10**5000 - 1
