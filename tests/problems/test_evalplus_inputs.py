import pytest

from codex_jax.problems.evalplus_inputs import mbpp_task, restore_like, restore_mbpp


@pytest.mark.parametrize(
    ("task", "stored", "expected"),
    [
        (1, [[1], "a"], [[1], "a"]),
        (2, [[3, [4]], [5]], [(3, [4]), (5,)]),
        (63, [[[3, 5], [1, 7]]], [[(3, 5), (1, 7)]]),
        (75, [[[6, 24]], 6, "dropped"], [[(6, 24)], 6]),
        (106, [[5, 6], [9, 10]], [[5, 6], (9, 10)]),
        (115, [[[1, 2], [], {}]], [[{1, 2}, {}, {}]]),
        (124, ["0", "1j"], [0.0, 1j]),
        (250, [[1, 2], 3], [(1, 2), 3]),
        (252, ["(1+2j)"], [1 + 2j]),
        (259, [[[1, 3], [4, 5]], [[6, 7]]], [((1, 3), (4, 5)), ((6, 7),)]),
        (278, [[1, [4, 6], 10]], [(1, (4, 6), 10)]),
        (307, [["a", []], 1, 50], [("a", []), 1, 50]),
        (580, [[4, [7, [2]]]], [(4, (7, (2,)))]),
        (722, [{"a": [6.2, 70]}, 6.0, 70], [{"a": (6.2, 70)}, 6.0, 70]),
        (722, [{"a": [6.2, 70]}], [{"a": (6.2, 70)}]),  # further arguments are kept as they are
        (722, [{}, [1], 2, 3], [{}, [1], 2, 3]),
        (75, [[[6, 24]], 6, 7], [[(6, 24)], 6]),  # a third one is dropped
    ],
)
def test_inputs_of_mbpp_s_tasks(task, stored, expected):
    assert repr(restore_mbpp(task, stored)) == repr(expected)


@pytest.mark.parametrize(("task", "stored"), [(2, [3]), (75, [[[1]]]), (124, ["x", "1j"]), (722, [[1], 2, 3])])
def test_inputs_that_do_not_fit_the_task(task, stored):
    with pytest.raises((TypeError, ValueError, AttributeError)):
        restore_mbpp(task, stored)


def test_which_tasks_are_mbpp_s():
    assert [mbpp_task(name) for name in ("Mbpp/2", "Mbpp/974", "Mbpp/975", "Mbpp/t2", "HumanEval/2", "Mbpp/0")] == [
        *(2, 974),
        *[None] * 4,
    ]


INF = float("inf")


@pytest.mark.parametrize(
    ("stored", "examples", "expected"),
    [
        # One type of container on each level.
        (
            [[5], [[6, "c"]], {"m": [7]}, [10]],
            [[(1, 2), [(1, "a")], {"k": (3,)}, {4}]],
            [(5,), [(6, "c")], {"m": (7,)}, {10}],
        ),
        ([[[3], 1]], [[(1, 2, (3,))]], [((3,), 1)]),  # with other things on the same level
        ([[[1], []]], [[[{1}, set()]]], [[{1}, set()]]),  # empty
        ([[[]]], [[[set()]]], [[set()]]),
        ([[[1, [2, [3]]], 4]], [[(1, (2,))]], [((1, (2, (3,))), 4)]),  # on a level that the example does not have
        ([[[1, 2], [3]]], [[{(4, 5)}]], [{(1, 2), (3,)}]),
        ([[[1, 2], 3]], [[{4}]], [{(1, 2), 3}]),  # a set has no lists
        ([[[1]], 2], [[frozenset({frozenset({3})}), 4]], [frozenset({frozenset({1})}), 2]),
        # Several types on a level: the place decides, then the frequency.
        ([[[1], [2], [3]]], [[([4], (5,), 6)]], [([1], (2,), [3])]),
        ([[[[1], [2]], [[3], [4]]]], [[[([5], (6,))]]], [[([1], (2,)), ([3], (4,))]]),
        ([[[1], 2, [3], [4]]], [[(0, (1,), [2], (3,))]], [((1,), 2, [3], (4,))]),
        ([[0, 0, 0, 0, [4]]], [[(0, (1,), [2], (3,))]], [(0, 0, 0, 0, (4,))]),
        ([[2]], [[(1,)], [[1]]], [[2]]),
        # The example itself.
        ([[1], [2]], [[[1], (2,)], [(1,), [2]]], [[1], (2,)]),
        # Numbers.
        ([[9, 9.5], 1], [[[1.0], 1]], [[9.0, 9.5], 1]),
        ([True, 2], [[1.5, 2]], [True, 2]),
        (["3j", "1"], [[2j, 1.5]], [3j, 1.0]),
        (["7", "inf", "(1+2j)", "x"], [[1, 2, 3, 4]], [7, INF, 1 + 2j, "x"]),
        ([["7", "8"]], [[["a", 1]]], [["7", "8"]]),
        ([{"1": [2]}], [[{3: (4,)}]], [{1: (2,)}]),
        ([[INF, [1]]], [[(INF, (3,))]], [(INF, (1,))]),
        ([[1], None], [], [[1], None]),
    ],
)
def test_the_nearest_example_shows_the_types(stored, examples, expected):
    assert repr(restore_like([stored], examples)) == repr([expected])


def test_the_base_inputs_are_the_examples_in_their_order():
    examples = [[(1, 2)], [[1, 2]], [{3: {(1,), (2,)}}]]
    stored = [[[1, 2]], [[1, 2]], [{"3": [[2], [1]]}], [[1, 2]]]
    assert repr(restore_like(stored, examples)) == repr([*examples, [(1, 2)]])
    assert restore_like([[[1, 2]]], examples)[0] is not examples[0]
