"""Judges a sample: runs the problem's test suites one after another, each case in its own process."""

from dataclasses import dataclass, replace
from threading import Lock

from codex_jax.problems.problem import NOT_RUN, PASSED, TIMED_OUT, Problem, TestSuite
from codex_jax.sandbox.check import STDLIB_ONLY, Check, Policy, Result
from codex_jax.sandbox.pool import Run

MAX_TIMEOUTS = 5  # a suite ends after this many cases have timed out
SLOWDOWN = 4.0  # scaled time limit as a multiple of the reference solution's CPU time, as in EvalPlus
REFERENCE_TIMEOUT = 60.0  # CPU seconds for a reference solution


@dataclass(frozen=True)
class Judgement:
    """The results of a sample."""

    result: str  # "passed", "timed out" or "failed: REASON"
    suites: dict[str, str]  # the result of each test suite, or "not run", by the suite's name
    reference: str = ""  # the result of the problem's reference solution, if it does not pass

    @property
    def passed(self) -> bool:
        """Whether the sample passed all required suites."""
        return self.result == PASSED


def combine(results: list[str]) -> str:
    """Returns the first failure; if nothing failed, "timed out" if any result is that, else "passed"."""
    failures = [result for result in results if result not in (PASSED, TIMED_OUT)]
    return (failures or [TIMED_OUT if TIMED_OUT in results else PASSED])[0]


class Judge:
    """Judges samples; several threads may share it. The reference solution of a problem runs before its samples."""

    def __init__(self, timeout: float, policy: Policy = STDLIB_ONLY) -> None:
        """timeout: CPU seconds per case. policy: of the programs."""
        self.timeout, self.policy = timeout, policy
        self._references: dict[str, Judgement] = {}  # of the reference solutions, by task_id
        self._scaled: dict[tuple[str, str], float] = {}  # time limits by (task_id, suite)
        self._locks: dict[str, Lock] = {}  # by task_id

    def judge(self, problem: Problem, program: str, run: Run) -> Judgement:
        """Runs the suites in order. If the program fails a gate suite, the later suites are not run."""
        suites, reference = problem.test_suites(), None
        if problem.reference:
            reference_program = problem.program({"solution": problem.reference})
            with self._locks.setdefault(problem.task_id, Lock()):
                reference = self._references.get(problem.task_id)
                if reference is None:
                    reference = self._run_suites(problem, suites, reference_program, run, is_reference=True)
                    self._references[problem.task_id] = reference
            if program == reference_program and reference.passed:
                return reference  # it has just run
        judgement = self._run_suites(problem, suites, program, run)
        if reference is None or reference.passed:
            return judgement
        return replace(judgement, reference=reference.result)

    def _run_suites(
        self, problem: Problem, suites: tuple[TestSuite, ...], program: str, run: Run, is_reference: bool = False
    ) -> Judgement:
        results: dict[str, str] = {}
        closed = False
        for suite in suites:
            results[suite.name] = NOT_RUN if closed else self._run_suite(problem, suite, program, run, is_reference)
            closed = closed or (suite.gate and results[suite.name] not in (PASSED, TIMED_OUT))
        decisive = [results[suite.name] for suite in suites if suite.required and results[suite.name] != NOT_RUN]
        return Judgement(combine(decisive), results)

    def _run_suite(self, problem: Problem, suite: TestSuite, program: str, run: Run, is_reference: bool) -> str:
        # A timeout does not end the suite, because failures are reported separately and a later case may fail.
        key, limit, timeouts, seconds = (problem.task_id, suite.name), self.timeout, 0, 0.0
        if suite.scaled_timeout:
            limit = REFERENCE_TIMEOUT if is_reference else self._scaled.get(key, limit)
        for case in suite.cases:
            result = _run_case(problem, case, program, limit, self.policy, run)
            seconds += result.cpu_seconds
            if result.status not in (PASSED, TIMED_OUT):
                return result.status
            timeouts += not result.passed
            if timeouts == MAX_TIMEOUTS:
                break
        if is_reference and suite.scaled_timeout:
            self._scaled[key] = max(self.timeout, SLOWDOWN * seconds)
        return TIMED_OUT if timeouts else PASSED


def _run_case(problem: Problem, case: str, program: str, cpu_seconds: float, policy: Policy, run: Run) -> Result:
    return run(Check(program, problem.entry_point, case, problem.host, problem.setup, cpu_seconds, policy))
