import pytest

from codex_jax.benchmarks.examples import public

CONTEST = """Given 10 20, and 30, add. An example of a sum is 7 8, which is 15.

-----{heading}-----
Input
1 2
3

Output
6

Input
5 6 7
Output
18
{note}"""
INPUTS, OUTPUTS = ("1 2\n3\n", "5 6 7", "10 20\n", "5 6", "6"), ("6\n", "18", "30", "18", "5")


@pytest.mark.parametrize("heading", ["Examples", "Sample Input", "Sample Inputs"])
def test_inputs_with_their_outputs_behind_them(heading):
    text = CONTEST.format(heading=heading, note="")
    assert public(text, INPUTS[:3], OUTPUTS[:3], False) == [0, 1]


def test_words_are_whole():
    text = CONTEST.format(heading="Example", note="")
    assert public(text, ("1 2\n3", "2 3", "1 2\n3"), ("6", "6", "8"), False) == [0, 1]
    assert public(text, ("1", "5 6"), ("8", "1"), False) == []


def test_empty_ones_are_no_examples():
    assert public("Example\n1\n2\n", ("", "1"), ("2", ""), False) == []
    assert public("", (), (), False) == []


CALLS = """Return the answer, as 9, 9.

Example 1:
Input: nums = [2, 7,11], key = 'ab c', deep = True
Output: [0,1]

Example 2:
f([3], "x", false)  # should be 7
"""


def test_calls_in_any_way_of_writing():
    inputs = ([[2, 7, 11], "ab c", True], [[3], "x", False], [[9], "x", False])
    assert public(CALLS, inputs, ([0, 1], [7], 9), True) == [0, 1]
    assert public(CALLS, inputs, ([0, 2], 8, 9), True) == []
