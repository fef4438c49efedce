import inspect
import math
import operator
import os
from dataclasses import replace

import pytest

from codex_jax.sandbox.check import HARNESS
from codex_jax.sandbox.lent_functions import CHECKER, borrowed, may_lend, signature_of
from tests.sandbox.test_checker import check, statuses

APPLY = "def f(function, *arguments):\n    return function(*arguments)\n"


def test_programs_call_functions_of_the_test():
    asserts = [
        "assert candidate(lambda x, y: x + y, 1, 2) == 3",
        "assert candidate(len, 'abc') == 3",
        "assert candidate(operator.mul, 'a', 3) == 'aaa'",
        "assert candidate(str.upper, 'a') == 'A'",
        "assert list(candidate(lambda n: (i * i for i in range(n)), 3)) == [0, 1, 4]",
    ]
    assert statuses([check(APPLY, f"import operator\n{one}") for one in asserts]) == ["passed"] * 5


def test_a_function_s_exception_is_raised_in_the_program():
    program = "def f(function):\n    try:\n        return function(0)\n    except ZeroDivisionError as error:\n"
    program += "        return 'caught ' + str(error)\n"
    assert statuses([check(program, "assert candidate(lambda x: 1 / x) == 'caught division by zero'")]) == ["passed"]
    uncaught = "try:\n    candidate(lambda: [][1])\nexcept IndexError:\n    pass\nelse:\n    assert False"
    assert statuses([check(APPLY, uncaught)]) == ["passed"]


def test_a_program_sees_the_signature():
    program = "import inspect\ndef f(function):\n    return function.__name__, str(inspect.signature(function))\n"
    assert statuses([check(program, "assert candidate(lambda x, y=3: 0) == ('<lambda>', '(x, y=None)')")]) == ["passed"]


def test_a_program_lends_no_functions():
    """Not even those that a test may lend."""
    for value in ("len", "lambda: 1", "[abs]"):
        program = f"__name__ = 'checker'\ndef f():\n    return {value}\n"
        (status,) = statuses([check(program, "candidate()")])
        assert status.startswith(HARNESS + "cannot carry a value of type"), status


def test_a_program_can_call_only_what_was_lent():
    program = "from codex_jax.sandbox import program\nimport gc\ndef f(function):\n"
    program += "    caller = next(one for one in gc.get_objects() if type(one).__name__ == '_Caller')\n"
    program += "    return caller.ask('apply', {0}, [['list', []]], [])\n"
    for number in ("7", "'a'", "0"):
        (status,) = statuses([check(program.format(number), "candidate(iter([1]))")])
        assert status.startswith("failed: "), status


def test_endless_functions_are_ended():
    forever = "def f(function):\n    while True: function()\n"
    endless = [check(APPLY, "candidate(lambda: sum(iter(int, 1)))"), check(forever, "candidate(lambda: 1)")]
    assert statuses([replace(one, cpu_seconds=0.5) for one in endless]) == ["timed out"] * 2


@pytest.mark.parametrize("value", [len, operator.add, math.floor, str.upper, dict.get])
def test_functions_that_only_compute_are_lent(value):
    assert may_lend(value)


@pytest.mark.parametrize(
    "value", [print, open, eval, exec, getattr, os.system, inspect.getsource, lambda: 1, 3, int, iter([]), os.PathLike]
)
def test_others_are_not_lent(value):
    assert not may_lend(value)


def test_functions_of_the_test_s_source_are_lent():
    scope = {"__name__": CHECKER}
    exec("def f(a, b=1): return a", scope)
    assert may_lend(scope["f"])
    assert signature_of(scope["f"]) == [["a", "b"], 1]
    assert signature_of(lambda *a: 1) is None
    assert signature_of(lambda *, a: 1) is None


def test_borrowed_functions_look_like_the_lent_one():
    function = borrowed("g", [["a", "b"], 1], lambda args, kwargs: (args, kwargs))
    assert function(1, b=2) == ((1,), {"b": 2})
    assert str(inspect.signature(function)) == "(a, b=None)"
    assert function.__name__ == "g"
