import pytest

from codex_jax.problems.problem import Problem, TestSuite
from codex_jax.scoring.judge import MAX_TIMEOUTS, Judge, Judgement, combine

FAILED = "failed: AssertionError"


def judged(parts, answers, timeout=1.0):
    """(judgement, the cases that were run with their limits), where a case's answer is looked up."""
    ran = []

    def run(problem, program, limit):
        ran.append((problem.test, limit))
        return (answers[problem.test], 0.5)

    task = Problem("t", "", "f", tuple(parts), reference="reference")
    return Judge(timeout).judge(task, "program", run), [case for case, _ in ran]


def test_cases_run_until_one_fails():
    answers = {"a": "passed", "b": FAILED, "c": "passed"}
    assert judged([TestSuite("p", ("a", "b", "c"))], answers) == (Judgement(FAILED, {"p": FAILED}), ["a", "b"])


def test_a_time_out_does_not_hide_a_later_failure():
    answers = {"a": "timed out", "b": "passed", "c": FAILED}
    assert judged([TestSuite("p", ("a", "b"))], answers)[0].result == "timed out"
    assert judged([TestSuite("p", ("a", "c"))], answers)[0].result == FAILED


def test_few_time_outs_are_waited_for():
    cases = tuple(f"{n}" for n in range(MAX_TIMEOUTS + 3))
    judgement, ran = judged([TestSuite("p", cases)], dict.fromkeys(cases, "timed out"))
    assert (judgement.result, len(ran)) == ("timed out", MAX_TIMEOUTS)


@pytest.mark.parametrize(
    ("first", "second", "result", "run"),
    [
        ("passed", "passed", "passed", ["a", "b"]),
        (FAILED, "passed", FAILED, ["a"]),
        ("timed out", "passed", "timed out", ["a", "b"]),
        ("timed out", FAILED, FAILED, ["a", "b"]),
    ],
)
def test_a_gate(first, second, result, run):
    parts = [TestSuite("gate", ("a",), gate=True), TestSuite("rest", ("b",))]
    judgement, ran = judged(parts, {"a": first, "b": second})
    assert (judgement.result, ran) == (result, run)
    assert judgement.suites["rest"] == (second if "b" in run else "not run")


def test_parts_that_do_not_count():
    parts = [TestSuite("p", ("a",)), TestSuite("more", ("b",), required=False)]
    judgement, _ = judged(parts, {"a": "passed", "b": FAILED})
    assert judgement == Judgement("passed", {"p": "passed", "more": FAILED})
    assert judgement.passed


def test_no_case_is_a_pass():
    assert judged([TestSuite("p", ())], {})[0].passed


def test_a_paced_part_has_what_the_reference_needs_and_more():
    limits = []

    def run(problem, program, limit):
        limits.append((program, limit))
        return "passed", 0.5

    judge, task = (
        Judge(1.0),
        Problem("t", "", "f", (TestSuite("p", ("a",), scaled_timeout=True),), reference="reference"),
    )
    for _ in range(2):
        judge.judge(task, "program", run)
    assert limits == [("reference", 60.0), ("program", 2.0), ("program", 2.0)]
    assert not judge.failing_references

    def fail(problem, program, limit):
        return FAILED, 0.0

    judge = Judge(1.0)
    judge.judge(task, "program", fail)
    assert judge.failing_references == {"t": FAILED}


def test_combine():
    assert combine([]) == combine(["passed"]) == "passed"
    assert combine(["timed out", "passed"]) == "timed out"
    assert combine(["timed out", FAILED, "failed: other"]) == FAILED
