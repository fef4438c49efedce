from codex_jax.curation.agreement import MAX_TESTS, Agreed, agreeing, record_values
from codex_jax.sandbox.pool import run_jobs


def recorded(program, *inputs, seconds=2.0):
    ((_, values),) = run_jobs([lambda run: record_values(program, "f", inputs, seconds, run)], workers=1)
    return values


def test_values_are_recorded_as_source():
    program = (
        "def f(x):\n    if x == 3: raise ValueError\n    return {1: {1}, 2: float('nan'), 4: 'a' * 3000}.get(x, [x])\n"
    )
    assert recorded(program, (1,), (2,), (3,), (4,), (5,)) == ["{1}", None, None, None, "[5]"]


def test_a_program_that_ends_has_no_further_values():
    program = "import os\ndef f(x):\n    while x == 2: pass\n    return x\n"
    assert recorded(program, (1,), (2,), (3,), seconds=0.5) == ["1", None, None]
    assert recorded("def g(): pass\n", (1,)) == [None]


def test_inputs_on_which_solutions_agree():
    values = [["1", "2", None, "4", None], ["1", "3", "3", "4", None], ["1", "2", None, None, "5"]]
    given = [False] * 5
    assert agreeing(values, given, []) == [Agreed(0, "1"), Agreed(3, "4")]
    assert agreeing(values, given, [3]) == [Agreed(3, "4"), Agreed(0, "1")]


def test_one_solution_is_enough_for_an_example_whose_value_is_stated():
    values = [["1", "2"], [None, None]]
    assert agreeing(values, [True, True], [1]) == [Agreed(1, "2")]
    assert agreeing(values, [True, False], [1]) == []


def test_there_are_at_most_so_many_tests():
    values = [[str(n) for n in range(50)]] * 2
    assert len(agreeing(values, [False] * 50, [])) == MAX_TESTS
