"""Judges a sample: runs the problem's test suites one after another, each case in its own process."""

from dataclasses import dataclass, field

from codex_jax.problems.problem import NOT_RUN, PASSED, TIMED_OUT, Problem, TestSuite
from codex_jax.sandbox.check import Check, Result
from codex_jax.sandbox.pool import Run

MAX_TIMEOUTS = 5  # a suite ends after this many cases have timed out
SLOWDOWN = 4.0  # scaled time limit as a multiple of the reference solution's CPU time, as in EvalPlus
REFERENCE_TIMEOUT = 60.0  # CPU seconds for a reference solution


@dataclass(frozen=True)
class Judgement:
    """The results of a sample."""

    result: str  # "passed", "timed out" or "failed: REASON"
    suites: dict[str, str]  # the result of each test suite, or "not run", by the suite's name

    @property
    def passed(self) -> bool:
        """Whether the sample passed all required suites."""
        return self.result == PASSED


def combine(results: list[str]) -> str:
    """Returns the first failure; if nothing failed, "timed out" if any result is that, else "passed"."""
    failures = [result for result in results if result not in (PASSED, TIMED_OUT)]
    return (failures or [TIMED_OUT if TIMED_OUT in results else PASSED])[0]


@dataclass
class Judge:
    """Judges samples; several threads may share it. timeout: CPU seconds per case."""

    timeout: float
    failing_references: dict[str, str] = field(default_factory=dict)  # results of reference solutions by task_id
    _scaled: dict[tuple[str, str], float] = field(default_factory=dict)  # time limits by (task_id, suite)

    def judge(self, problem: Problem, program: str, run: Run) -> Judgement:
        """Runs the suites in order. If the program fails a gate suite, the later suites are not run."""
        results: dict[str, str] = {}
        suites, closed = problem.test_suites(), False
        for suite in suites:
            results[suite.name] = NOT_RUN if closed else self._run_suite(problem, suite, program, run)
            closed = closed or (suite.gate and results[suite.name] not in (PASSED, TIMED_OUT))
        decisive = [results[suite.name] for suite in suites if suite.required and results[suite.name] != NOT_RUN]
        return Judgement(combine(decisive), results)

    def _run_suite(self, problem: Problem, suite: TestSuite, program: str, run: Run) -> str:
        # A timeout does not end the suite, because failures are reported separately and a later case may fail.
        limit = self._time_limit(problem, suite, run) if suite.scaled_timeout else self.timeout
        timeouts = 0
        for case in suite.cases:
            status = _run_case(problem, case, program, limit, run).status
            if status not in (PASSED, TIMED_OUT):
                return status
            timeouts += status == TIMED_OUT
            if timeouts == MAX_TIMEOUTS:
                break
        return TIMED_OUT if timeouts else PASSED

    def _time_limit(self, problem: Problem, suite: TestSuite, run: Run) -> float:
        key = problem.task_id, suite.name
        if key not in self._scaled:
            program, seconds = problem.program({"solution": problem.reference}), 0.0
            for case in suite.cases:
                result = _run_case(problem, case, program, REFERENCE_TIMEOUT, run)
                seconds += result.cpu_seconds
                if not result.passed:
                    self.failing_references[problem.task_id] = result.status
            self._scaled.setdefault(key, max(self.timeout, SLOWDOWN * seconds))
        return self._scaled[key]


def _run_case(problem: Problem, case: str, program: str, cpu_seconds: float, run: Run) -> Result:
    return run(Check(program, problem.entry_point, case, problem.host, problem.setup, cpu_seconds))
