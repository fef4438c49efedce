"""Where the time of a training process goes."""

import os
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def process_age() -> float:
    """Seconds since this process began."""
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return float(Path("/proc/uptime").read_text().split()[0]) - ticks / os.sysconf("SC_CLK_TCK")


class Clock:
    """Adds up the seconds of named phases: start, compile, data, evaluate, checkpoint. The rest are training steps."""

    def __init__(self, age: float = 0.0) -> None:
        """age: seconds since the process began, which are the phase "start"."""
        self.began = time.monotonic() - age
        self._phases: dict[str, float] = defaultdict(float, start=age)

    def seconds(self) -> dict[str, float]:
        """The seconds of each phase until now, of "steps", and in "total"."""
        total = time.monotonic() - self.began
        return {**self._phases, "steps": total - sum(self._phases.values()), "total": total}

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
