"""Where the time of a training process goes."""

import os
import statistics
import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STALL, RECENT = 5, 20  # a stall takes more than 5 times the median of the latest 20 steps


def process_age() -> float:
    """Seconds since this process began."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


class Clock:
    """Adds up the seconds of named phases: start, compile, data, evaluate, checkpoint, stalls. The rest are steps."""

    def __init__(self, age: float = 0.0) -> None:
        """age: seconds since the process began, which are the phase "start"."""
        self.began = time.monotonic() - age
        self._phases: dict[str, float] = defaultdict(float, start=age)
        self._recent: deque[float] = deque(maxlen=RECENT)  # seconds of the latest steps
        self._finished = 0.0  # seconds of "steps" when the latest step was finished

    def seconds(self) -> dict[str, float]:
        """The seconds of each phase until now, of "steps", and in "total"."""
        total = time.monotonic() - self.began
        return {**self._phases, "steps": total - sum(self._phases.values()), "total": total}

    def finish_step(self) -> None:
        """Call it after each finished step. If it took much longer than the latest ones, the rest of it is a stall."""
        seconds = self.seconds()["steps"] - self._finished
        usual = statistics.median(self._recent) if len(self._recent) == RECENT else seconds
        if seconds > STALL * usual:
            self._phases["stalls"] += seconds - usual
        self._recent.append(seconds)
        self._finished = self.seconds()["steps"]

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """The time in this context belongs to the phase."""
        before = time.monotonic()
        try:
            yield
        finally:
            self._phases[name] += time.monotonic() - before

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """The function; its calls belong to the phase."""

        def call(*args: Any) -> Any:
            with self.phase(name):
                return function(*args)

        return call

    def compiling(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A jitted function; its first call, which compiles it, belongs to the phase "compile"."""
        calls = iter([self.timed("compile", function)])

        def call(*args: Any) -> Any:
            return next(calls, function)(*args)

        return call

    def waiting(self, items: Iterator[Any]) -> Generator[Any, None, None]:
        """The items; waiting for the next one belongs to the phase "data"."""
        while True:
            with self.phase("data"):
                item = next(items, None)
            if item is None:
                return
            yield item
