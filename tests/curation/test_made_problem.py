from dataclasses import replace

from codex_jax.curation.made_problem import MadeProblem
from codex_jax.problems import humaneval

PROBLEM = MadeProblem(
    "trace/p/f", 'def f(x):\n    """Doc."""\n', "f", "    return x\n",
    "def check(candidate):\n    assert candidate(1) == 1\n",
    "trace", "MIT", "p/a.py:1", "p",
)  # fmt: skip


def test_a_row_is_in_humaneval_s_form():
    row = PROBLEM.row("train")
    assert {*humaneval.FIELDS} <= row.keys()
    assert (row["split"], row["repo"], row["licence"]) == ("train", "p", "MIT")
    scope: dict = {}
    exec(f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})", scope)


def test_the_problem_is_judged_as_humaneval_s_are():
    problem = PROBLEM.problem()
    assert problem.reference == PROBLEM.text == PROBLEM.prompt + PROBLEM.canonical_solution
    assert problem.prompt == PROBLEM.prompt
    assert len(problem.suites) == 1


def test_the_key_changes_with_the_content():
    assert PROBLEM.key == replace(PROBLEM).key
    for name in ("prompt", "test", "licence", "repo"):
        assert replace(PROBLEM, **{name: "other"}).key != PROBLEM.key
