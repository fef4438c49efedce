from codex_jax.problems.problem import Problem

SAMPLE = {"task_id": "t", "completion": "    return 1\n"}


def test_a_completion_continues_the_opening():
    problem = Problem("t", "def f():\n", "f", (), opening="def f():\n")
    assert problem.program(SAMPLE) == "def f():\n    return 1\n"
    assert problem.program({"task_id": "t", "solution": "f = int\n"}) == "f = int\n"
    assert Problem("t", "A docstring.", "f", ()).program(SAMPLE) == "    return 1\n"


def test_the_canonical_solution_is_the_reference_without_the_prompt():
    assert Problem("t", "def f():\n", "f", (), reference="def f():\n    pass\n").canonical_solution == "    pass\n"
    assert Problem("t", '"""A docstring."""\n', "f", (), reference="f = int\n").canonical_solution == "f = int\n"
