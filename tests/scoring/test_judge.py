import time
from threading import Event, Thread

import pytest

from codex_jax.problems.problem import Problem, TestSuite
from codex_jax.sandbox.check import Check, Result
from codex_jax.scoring.judge import Judge, Judgement, combine

FAILED = "failed: AssertionError"


def judged(suites, results, timeout=1.0):
    """(judgement, cases that ran). results: of each case, by its source."""
    ran = []

    def run(check):
        assert check == Check("program", "f", check.test, setup="setup", cpu_seconds=timeout)
        ran.append(check.test)
        return Result(results[check.test], 0.5)

    problem = Problem("t", "", "f", tuple(suites), setup="setup")
    return Judge(timeout).judge(problem, "program", run), ran


def test_cases_run_until_one_fails():
    results = {"a": "passed", "b": FAILED, "c": "passed"}
    assert judged([TestSuite("s", ("a", "b", "c"))], results) == (Judgement(FAILED, {"s": FAILED}), ["a", "b"])


def test_a_timeout_does_not_hide_a_later_failure():
    results = {"a": "timed out", "b": "passed", "c": FAILED}
    assert judged([TestSuite("s", ("a", "b"))], results)[0].result == "timed out"
    assert judged([TestSuite("s", ("a", "c"))], results)[0].result == FAILED


def test_a_suite_ends_after_five_timeouts():
    cases = tuple(f"{n}" for n in range(8))
    judgement, ran = judged([TestSuite("s", cases)], dict.fromkeys(cases, "timed out"))
    assert (judgement.result, ran) == ("timed out", ["0", "1", "2", "3", "4"])


@pytest.mark.parametrize(
    ("first", "second", "result", "ran"),
    [
        ("passed", "passed", "passed", ["a", "b"]),
        (FAILED, "passed", FAILED, ["a"]),
        ("timed out", "passed", "timed out", ["a", "b"]),
        ("timed out", FAILED, FAILED, ["a", "b"]),
    ],
)
def test_a_failed_gate_skips_the_suites_after_it(first, second, result, ran):
    suites = [TestSuite("gate", ("a",), gate=True), TestSuite("rest", ("b",))]
    judgement, actually_ran = judged(suites, {"a": first, "b": second})
    assert (judgement.result, actually_ran) == (result, ran)
    assert judgement.suites == {"gate": first, "rest": second if "b" in ran else "not run"}


def test_only_a_gate_skips_suites():
    suites = [TestSuite("one", ("a",)), TestSuite("two", ("b",)), TestSuite("three", ("c",))]
    judgement, ran = judged(suites, {"a": FAILED, "b": "passed", "c": "failed: other"})
    assert judgement == Judgement(FAILED, {"one": FAILED, "two": "passed", "three": "failed: other"})
    assert ran == ["a", "b", "c"]
    suites = [TestSuite("gate", ("a",), gate=True), TestSuite("two", ("b",)), TestSuite("three", ("c",))]
    assert judged(suites, {"a": FAILED})[0].suites == {"gate": FAILED, "two": "not run", "three": "not run"}


def test_suites_that_are_not_required():
    suites = [TestSuite("s", ("a",)), TestSuite("more", ("b",), required=False)]
    judgement, _ = judged(suites, {"a": "passed", "b": FAILED})
    assert judgement == Judgement("passed", {"s": "passed", "more": FAILED})
    assert judgement.passed
    assert not judged(suites, {"a": FAILED, "b": "passed"})[0].passed


def test_a_suite_without_cases_passes():
    assert judged([TestSuite("s", ())], {})[0].passed


def scaled(*seconds, timeout=1.0, reference="reference"):
    """(program, CPU seconds) of each check when a sample is judged twice. seconds: of the cases."""
    cases = tuple(map(str, range(len(seconds))))
    checks = []

    def run(check):
        checks.append((check.program, check.cpu_seconds))
        return Result("passed", seconds[int(check.test)])

    judge = Judge(timeout)
    suites = (TestSuite("s", cases, scaled_timeout=True),)
    for _ in range(2):
        judge.judge(Problem("t", "", "f", suites, reference=reference), "program", run)
    return checks


def test_a_slow_reference_raises_the_time_limit():
    assert scaled(0.5) == [("reference", 60.0), ("program", 2.0), ("program", 2.0)]  # 4 times 0.5 s
    assert scaled(0.5, 0.25) == [("reference", 60.0)] * 2 + [("program", 3.0)] * 4
    assert scaled(0.1)[1:] == [("program", 1.0)] * 2  # never below the timeout
    assert scaled(0.5, reference="") == [("program", 1.0)] * 2


ONE_CASE = (TestSuite("s", ("a",)),)


def with_reference(status, programs, suites=ONE_CASE):
    """(judgements, programs that ran). status: of the reference; the others pass."""
    ran = []

    def run(check):
        ran.append(check.program)
        return Result(status if check.program == "reference" else "passed")

    judge = Judge(1.0)
    problem = Problem("t", "", "f", suites, reference="reference")
    return [judge.judge(problem, program, run) for program in programs], ran


def test_a_reference_that_fails_is_named():
    judgements, ran = with_reference(FAILED, ("program", "other", "reference"))
    assert judgements == [
        Judgement("passed", {"s": "passed"}, FAILED),
        Judgement("passed", {"s": "passed"}, FAILED),
        Judgement(FAILED, {"s": FAILED}, FAILED),
    ]
    assert ran == ["reference", "program", "other", "reference"]
    assert with_reference("timed out", ("program",))[0][0].reference == "timed out"


def test_a_reference_runs_once_and_is_not_named_if_it_passes():
    judgements, ran = with_reference("passed", ("program", "reference", "program"))
    assert judgements == [Judgement("passed", {"s": "passed"})] * 3
    assert ran == ["reference", "program", "program"]
    optional = (TestSuite("s", ()), TestSuite("more", ("a",), required=False))
    assert with_reference(FAILED, ("program",), optional)[0][0].reference == ""


def test_threads_wait_for_the_reference():
    began, ran = Event(), []

    def run(check):
        ran.append(check.program)
        if check.program == "reference":
            began.set()
            time.sleep(0.2)
        return Result(FAILED)

    judge, found = Judge(1.0), []
    problem = Problem("t", "", "f", ONE_CASE, reference="reference")
    threads = [Thread(target=lambda: found.append(judge.judge(problem, "program", run))) for _ in range(3)]
    threads[0].start()
    assert began.wait(20)
    for thread in threads[1:]:
        thread.start()
    for thread in threads:
        thread.join()
    assert ran == ["reference"] + ["program"] * 3
    assert [judgement.reference for judgement in found] == [FAILED] * 3


def test_combine():
    assert combine([]) == combine(["passed"]) == "passed"
    assert combine(["timed out", "passed"]) == combine(["passed", "timed out"]) == "timed out"
    assert combine(["timed out", FAILED, "failed: other"]) == FAILED
