import pytest

from codex_jax.problems.task import Part, Task
from codex_jax.sandbox.check import Result
from codex_jax.scoring.judge import MAX_TIMEOUTS, Judge, Judgement, combine

FAILED = "failed: AssertionError"


def judged(parts, answers, timeout=1.0):
    """(judgement, the cases that were run with their limits), where a case's answer is looked up."""
    ran = []

    def run(check):
        ran.append((check.test, check.cpu_seconds))
        return Result(answers[check.test], 0.5)

    task = Task("t", "", "f", tuple(parts), reference="reference")
    return Judge(timeout).judge(task, "program", run), [case for case, _ in ran]


def test_cases_run_until_one_fails():
    answers = {"a": "passed", "b": FAILED, "c": "passed"}
    assert judged([Part("p", ("a", "b", "c"))], answers) == (Judgement(FAILED, {"p": FAILED}), ["a", "b"])


def test_a_time_out_does_not_hide_a_later_failure():
    answers = {"a": "timed out", "b": "passed", "c": FAILED}
    assert judged([Part("p", ("a", "b"))], answers)[0].result == "timed out"
    assert judged([Part("p", ("a", "c"))], answers)[0].result == FAILED


def test_few_time_outs_are_waited_for():
    cases = tuple(f"{n}" for n in range(MAX_TIMEOUTS + 3))
    judgement, ran = judged([Part("p", cases)], dict.fromkeys(cases, "timed out"))
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
    parts = [Part("gate", ("a",), gate=True), Part("rest", ("b",))]
    judgement, ran = judged(parts, {"a": first, "b": second})
    assert (judgement.result, ran) == (result, run)
    assert judgement.parts["rest"] == (second if "b" in run else "not run")


def test_parts_that_do_not_count():
    parts = [Part("p", ("a",)), Part("more", ("b",), counts=False)]
    judgement, _ = judged(parts, {"a": "passed", "b": FAILED})
    assert judgement == Judgement("passed", {"p": "passed", "more": FAILED})
    assert judgement.passed


def test_no_case_is_a_pass():
    assert judged([Part("p", ())], {})[0].passed


def test_a_paced_part_has_what_the_reference_needs_and_more():
    limits = []

    def run(check):
        limits.append((check.program, check.cpu_seconds))
        return Result("passed", 0.5)

    judge, task = Judge(1.0), Task("t", "", "f", (Part("p", ("a",), scaled_timeout=True),), reference="reference")
    for _ in range(2):
        judge.judge(task, "program", run)
    assert limits == [("reference", 60.0), ("program", 2.0), ("program", 2.0)]
    assert not judge.failing_references

    def fail(check):
        return Result(FAILED)

    judge = Judge(1.0)
    judge.judge(task, "program", fail)
    assert judge.failing_references == {"t": FAILED}


def test_combine():
    assert combine([]) == combine(["passed"]) == "passed"
    assert combine(["timed out", "passed"]) == "timed out"
    assert combine(["timed out", FAILED, "failed: other"]) == FAILED
