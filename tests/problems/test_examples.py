import pytest

from codex_jax.problems.examples import public_examples
from tests.problems.judging import run_linear

CONTEST = """Given 10 20, and 30, add. In a story, 7 8 are 15.

-----{first}-----
{given}
1 2
3

{output}
6

{given}
5 6 7
{output}
18

-----Note-----
The sum of 5 6 7 is 18, that of 4 is 4.
"""
LAYOUTS = (
    {"first": "Examples", "given": "Input", "output": "Output"},
    {"first": "Sample Input", "given": "-----Sample Input-----", "output": "-----Sample Output-----"},
    {"first": "Samples", "given": "Sample Input 1:", "output": "Sample Output 1"},
    {"first": "Example 1", "given": "Input #2", "output": "Output"},
)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_inputs_that_are_followed_by_their_outputs(layout):
    text = CONTEST.format(**layout)
    shown = {"1 2\n3\n": "6\n", "5 6 7": "18"}
    hidden = {"10 20\n": "30", "7 8": "15", "2 3": "6", "5 6": "18", "1": "6", "6": "5", "2": "3"}
    tests = {**hidden, **shown}
    found = public_examples(text, tuple(tests), tuple(tests.values()), False)
    assert [list(tests)[n] for n in found] == list(shown)
    assert public_examples(text, ("1 2\n3",), ("7",), False) == []


def test_empty_inputs_and_outputs_are_not_examples():
    assert public_examples("Example\n1\n2\n", ("", "1"), ("2", ""), False) == []
    assert public_examples("", (), (), False) == []
    assert public_examples("", ("1",), ("1",), False) == []
    assert public_examples("Example f() is 3", ([],), (3,), True) == []


CALLS = """Return the answer, as 9, 9.

Example 1:
Input: nums = [2, 7,11], key = 'ab c', deep = True
Output: [0,1]
Explanation: 4 is 5.

Example 2:
Input: n = 5, k = -1
Output: 2
Explanation: as 3.

f([3], "x", false)  # should be 7.
g(40) == 12
"""


def test_calls_in_several_notations():
    shown = [
        ([[2, 7, 11], "ab c", True], [0, 1]),
        ([5, -1], 2),
        ([[3], "x", False], [7]),
        ([40], 12),
    ]
    hidden = [
        ([[9], "x", False], 9),
        ([[2, 7, 11], "ab c", True], [0, 2]),
        ([2], 3),
        ([5, 1], 2),
        ([4], 5),
        ([0], 12),
        ([40], 1),
        ([1], 2),
    ]
    inputs, outputs = zip(*shown, *hidden, strict=True)
    assert public_examples(CALLS, inputs, outputs, True) == [0, 1, 2, 3]


def test_long_tests_are_not_examples():
    long = " ".join(str(n) for n in range(200_000))
    assert public_examples(CONTEST.format(**LAYOUTS[0]) + "1 " * 5000, (long, "1 " * 4000), ("1", "2"), False) == []
    assert public_examples(CALLS + "[" * 5000, ([[1] * 200_000], [[[1]] * 900]), (1, 1), True) == []


HOSTILE = """
from codex_jax.problems.examples import public_examples

for text, given, value, call in (
    ("1" * 600_000 + "x", "1", "2", False),
    ("1 " * 100_000 + "x", "1 " * 50_000, "2", False),
    ("a " * 50_000 + "b", "a " * 20_000 + "b", "c", False),
    ("test " * 50_000 + "x", "1", "2", False),
    ("- " * 100_000 + "x", "1", "2", False),
    ("\\n" * 200_000, [1], 2, True),
    ("true" * 5_000 + "false1", [True] * 60, [False], True),
    ("1," * 5_000, [1] * 60, [2], True),
):
    assert public_examples("Example " + text, (given,), (value,), call) == []
"""


def test_hostile_statements_take_linear_time():
    run_linear(HOSTILE)
