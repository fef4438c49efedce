"""The verdict on a sample: its parts run one after another, each case in a process of its own."""

import threading
from dataclasses import dataclass, field

from codex_jax.problems.task import NOT_RUN, PASSED, TIMED_OUT, Part, Task
from codex_jax.sandbox.check import Check
from codex_jax.sandbox.pool import Run

MAX_TIMEOUTS = 5  # cases of a part; a program that is late in as many is late
PACE = 4.0  # a scaled_timeout part has this many times what the reference solution needs, as in EvalPlus
LONGEST = 60.0  # CPU seconds of a reference solution


@dataclass(frozen=True)
class Judgement:
    """result: "passed", "timed out" or "failed: REASON"; parts: the same by part, or "not run"."""

    result: str
    parts: dict[str, str]

    @property
    def passed(self) -> bool:
        """Whether all parts that count passed."""
        return self.result == PASSED


def combine(results: list[str]) -> str:
    """Of several results the first failure, else "timed out" if there is one, else "passed"."""
    failed = [result for result in results if result not in (PASSED, TIMED_OUT)]
    return (failed or [TIMED_OUT if TIMED_OUT in results else PASSED])[0]


@dataclass
class Judge:
    """timeout: CPU seconds a case; judges from several threads."""

    timeout: float
    failing_references: dict[str, str] = field(
        default_factory=dict
    )  # task_id: why its reference solution fails its own tests
    _paces: dict[tuple[str, str], float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def judge(self, task: Task, program: str, run: Run) -> Judgement:
        """Runs all parts, up to a gate that is not passed."""
        parts: dict[str, str] = {}
        closed = False
        checks = task.checks()
        for part in checks:
            parts[part.name] = NOT_RUN if closed else self._part(task, part, program, self._limit(task, part, run), run)
            closed = closed or (part.gate and parts[part.name] not in (PASSED, TIMED_OUT))
        counted = [parts[part.name] for part in checks if part.counts and parts[part.name] != NOT_RUN]
        return Judgement(combine(counted), parts)

    def _part(self, task: Task, part: Part, program: str, limit: float, run: Run) -> str:
        # It goes on after a time-out: whether a program would have passed with more time is told, too.
        late = 0
        for case in part.cases:
            result = run(Check(program, task.entry_point, case, task.helpers, limit)).status
            if result not in (PASSED, TIMED_OUT):
                return result
            late += result == TIMED_OUT
            if late == MAX_TIMEOUTS:
                break
        return TIMED_OUT if late else PASSED

    def _limit(self, task: Task, part: Part, run: Run) -> float:
        if not part.scaled_timeout:
            return self.timeout
        key = task.task_id, part.name
        if key not in self._paces:
            seconds, reference = 0.0, task.program({"solution": task.reference})
            for case in part.cases:
                result = run(Check(reference, task.entry_point, case, task.helpers, LONGEST))
                seconds += result.cpu_seconds
                if not result.passed:
                    self.failing_references[task.task_id] = result.status
            with self._lock:
                self._paces.setdefault(key, max(self.timeout, PACE * seconds))
        return self._paces[key]
