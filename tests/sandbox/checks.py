"""Checks that several tests of the sandbox use."""

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.pool import run_checks

ADD_TEST = "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate([1], [2]) == [1, 2]\n"
RIGHT = "    return a + b\n"


def add_check(body, test=ADD_TEST, cpu_seconds=3.0):
    """A check of add(a, b) with this body."""
    return Check("def add(a, b):\n" + body, "add", test, cpu_seconds=cpu_seconds)


def problem_check(problem, completion, cpu_seconds=20.0):
    """A check of a completion of a problem in HumanEval's form."""
    program = problem.program({"completion": completion})
    return Check(program, problem.entry_point, problem.suites[0].cases[0], problem.host, problem.setup, cpu_seconds)


def run_all(checks, workers=2, layer="auto"):
    """The results in the order of the checks."""
    results = dict(run_checks(checks, workers, layer))
    return [results[index] for index in range(len(results))]


def statuses(checks, workers=2, layer="auto"):
    """The texts of the results in the order of the checks."""
    return [result.status for result in run_all(checks, workers, layer)]
