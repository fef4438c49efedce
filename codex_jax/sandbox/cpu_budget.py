"""A limit on the CPU time that the checker spends on a program's answers, which may be made to keep it busy."""

import math
import resource
import signal
import time

GRACE = 1.0  # CPU seconds past the limit until the kernel kills the process; setrlimit takes whole seconds


class CheckTimeout(BaseException):
    """The check ran past its wall-clock limit, or the program's answers kept the checker too busy."""


class CpuBudget:
    """Raises CheckTimeout at the limit. If that does not help, as in C code, the kernel ends the process soon after.

    seconds: the limit, from the start on. expired: whether CheckTimeout was raised since the last stop.
    """

    def __init__(self) -> None:
        self.expired, self.seconds = False, 0.0
        self._end: float | None = None  # of the process's CPU time
        signal.signal(signal.SIGALRM, self._expire)
        signal.signal(signal.SIGPROF, self._expire)
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)

    def _expire(self, _number: int, _frame: object) -> None:
        self.expired = True
        raise CheckTimeout

    def start(self) -> None:
        """Starts the limit, unless it has been started."""
        if self._end is None:
            self._end = time.process_time()
            self.extend(self.seconds)

    def extend(self, seconds: float) -> None:
        """Moves the limit, if it has been started."""
        if self._end is not None:
            self._end += seconds
            signal.setitimer(signal.ITIMER_PROF, max(self._end - time.process_time(), 1e-6))
            _set_kill(math.ceil(self._end + GRACE))

    def stop(self) -> None:
        """Ends the limit."""
        signal.setitimer(signal.ITIMER_PROF, 0)
        _set_kill(resource.RLIM_INFINITY)
        self._end, self.expired = None, False


def _set_kill(seconds: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds if hard == resource.RLIM_INFINITY else min(seconds, hard), hard))
