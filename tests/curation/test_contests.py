import json

import pytest

from codex_jax.curation.contests import Contest, contest_job, make, outcome_of, read_contests, record_of
from codex_jax.curation.made_problem import MadeProblem, NotMade
from codex_jax.errors import InputError
from codex_jax.problems.apps import AppsRecord
from codex_jax.sandbox.pool import run_jobs
from codex_jax.scoring.judge import Judge
from codex_jax.storage.jsonl import write_objects
from tests.problems.test_apps import write

SUM = "Add two numbers.\n\nExample\nInput: 1 2\nOutput: 3\n"
WITH_INPUT = (
    "def main():\n    a, b = map(int, input().split())\n    print(a + b)\n\nif __name__ == '__main__':\n    main()\n"
)
WITH_SYS = 'import sys\ntext = """\n"""\nprint(sum(map(int, sys.stdin.buffer.read().split())), end=text)\n'
WITH_PRELUDE = "print(sum(deque(map(int, input().split()))))\nexit()\n"
WRONG = "print(3)"
INPUTS, OUTPUTS = ("1 2\n", "5 6\n", "-1 1\n"), ("3\n", "11\n", "0\n")
METHOD = "class Solution:\n    def add(self, a: int, b: List[int]) -> int:\n        return a + sum(b)\n"
FUNCTION = "def add(a, b):\n    return a + sum(b)\n"
HELPED = "def total(b):\n    return sum(b)\n\ndef add(x, y):\n    return x + total(y)\n"


def contest(solutions, inputs=INPUTS, outputs=OUTPUTS, fn_name="", starter="", question=SUM):
    record = AppsRecord("7", question, starter, tuple(solutions), tuple(inputs), tuple(outputs), fn_name, "", "")
    return Contest(record, "c/7", "MIT", "page")


def made(*contests):
    """What becomes of each contest, and the results of their references."""
    answers = dict(run_jobs([contest_job(one, 2.0) for one in contests], workers=2))
    outcomes = [outcome_of(one, json.loads(json.dumps(answers[n]))) for n, one in enumerate(contests)]
    problems = [one.problem() for one in outcomes if isinstance(one, MadeProblem)]
    judged = run_jobs([lambda run, p=p: Judge(2.0).judge(p, p.reference, run) for p in problems], workers=2)
    assert {judgement.result for _, judgement in judged} <= {"passed"}
    return outcomes


def test_programs_on_standard_input_become_functions_over_text():
    unknown = contest([WITH_INPUT, WITH_SYS], outputs=[None] * 3)
    (first, second, third) = made(contest([WRONG, WITH_INPUT, WITH_SYS]), contest([WITH_PRELUDE] * 2), unknown)
    assert first.prompt.startswith('def solve(text: str) -> str:\n    """\n    Add two numbers.\n')
    assert first.entry_point == "solve"
    assert all(f"words(candidate({text!r}))" in first.test for text in INPUTS)
    assert "== [['11']]" in first.test
    assert first.test == third.test  # the solutions agree on what the problem does not state
    assert isinstance(second, NotMade)  # one solution given twice agrees with nobody but on the example
    assert second.reason == "solutions_do_not_agree"
    assert (first.source, first.licence, first.provenance) == ("contests", "MIT", "page")
    scope = {}
    exec(first.text, scope)
    assert scope["solve"]("20 22").split() == ["42"]


def test_functions_that_are_called():
    inputs, outputs = [[1, [2]], [1, []], [0, [3, 4]]], [[3], 1, 7]
    starter = "class Solution:\n    def add(self, a: int, b: List[int]) -> int:\n        "
    three = contest([METHOD, FUNCTION, HELPED], inputs, outputs, "add", starter)
    agreed = contest([FUNCTION, METHOD, HELPED], inputs, outputs, "add")
    differ = contest([FUNCTION, HELPED], inputs, outputs, "add")
    first, second, third = made(three, agreed, differ)
    assert first.prompt.startswith("from typing import List\n\n\ndef add(a: int, b: List[int]) -> int:\n")
    assert first.canonical_solution == "    return a + sum(b)\n"
    assert "    assert candidate(1, [2]) == 3\n" in first.test
    assert first.test.count("assert") == 3
    assert second.prompt.startswith("def add(a, b):\n")
    assert third == NotMade("c/7", "no_agreed_signature")


def test_a_helper_goes_inside_of_the_function():
    starter = "def add(x, y):"
    (problem,) = made(
        contest([HELPED, HELPED.replace("x", "first_of_two")], [[1, [2]], [0, [7]]], [3, 7], "add", starter)
    )
    assert "    def total(b):\n" in problem.canonical_solution
    assert problem.canonical_solution.endswith("    return add(x, y)\n")


@pytest.mark.parametrize(
    ("one", "reason"),
    [
        (contest([]), "no_solution"),
        (contest(["print("]), "solutions_do_not_parse"),
        (contest([WITH_INPUT], (), ()), "no_tests"),
        (contest([WITH_INPUT], ("1 " * 3000,), ("3000",)), "no_tests"),
    ],
)
def test_what_cannot_become_a_problem_runs_nothing(one, reason):
    assert make(one, 1.0, None) == reason


def test_disagreement_drops_the_input():
    (one,) = made(contest([WITH_INPUT, "import random\nprint(random.random())", WITH_SYS], outputs=[None] * 3))
    assert one == NotMade("c/7", "solutions_do_not_agree")


def test_apps_and_files_are_read_alike(tmp_path):
    tests = {"inputs": [*INPUTS], "outputs": [*OUTPUTS]}
    write(tmp_path / "train" / "0003", solutions=[WITH_INPUT], input_output=tests)
    (from_folder,) = read_contests(f"apps:{tmp_path / 'train'}", "MIT")
    row = {"problem_id": "0003", "question": from_folder.record.question, "difficulty": "interview", "url": "u"}
    packed = {**row, "solutions": json.dumps([WITH_INPUT]), "input_output": json.dumps(tests)}
    plain = {**row, "problem_id": "4", "solutions": [WITH_INPUT], **tests, "licence": "CC0-1.0"}
    write_objects(tmp_path / "c.jsonl", [packed, plain])
    first, second = read_contests(str(tmp_path / "c.jsonl"), "MIT")
    assert first.record == from_folder.record
    assert (from_folder.name, first.name, second.name) == ("apps/0003", "c/0003", "c/4")
    assert (first.licence, second.licence) == ("MIT", "CC0-1.0")
    assert second.record.outputs == OUTPUTS


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "solutions": "["},
        {"question": "q", "solutions": [1]},
        {"question": "q", "inputs": ["1"], "outputs": ["1", "2"]},
        {"question": "q", "inputs": [1]},
        {"question": "q", "inputs": ["1"], "fn_name": "f"},
        {"question": "q", "input_output": "[]"},
        {"solutions": []},
    ],
)
def test_broken_files_are_one_line(tmp_path, row):
    write_objects(tmp_path / "c.jsonl", [row])
    with pytest.raises(InputError, match=r"c\.jsonl"):
        list(read_contests(str(tmp_path / "c.jsonl"), ""))


def test_outputs_may_be_unknown():
    assert record_of({"question": "q", "inputs": ["1", "2"], "outputs": ["1"]}, 5).outputs == ("1", None)
    assert record_of({"question": "q"}, 5).problem_id == "5"
