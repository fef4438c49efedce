"""The one thread that draws: requests wait for it in a line, and leave the line when their client does."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from codex_jax.sampling.engine import Engine
from codex_jax.serving.generate import CancelledError, Completion, draw
from codex_jax.serving.protocol import CompletionRequest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """Nothing follows. failed: and something is missing."""

    failed: bool = False


Event = str | Completion | End  # a piece of a growing sample's text, or a sample


@dataclass(eq=False)
class Job:
    """A request in line. tell is called by the worker's thread; abandoned is set by another's."""

    asked: CompletionRequest
    tell: Callable[[Event], None]
    abandoned: bool = False


class QueueFullError(Exception):
    """The line is as long as it may be."""


class Worker:
    """Draws one job after the other, in the order they came: an engine serves one at a time."""

    def __init__(self, engine: Engine, batch: int, most: int) -> None:
        """batch: samples drawn together by each copy of the model; most: jobs that wait."""
        self._engine, self._batch, self._most = engine, batch, most
        self._line: deque[Job] = deque()
        self._drawing: Job | None = None
        self._changed, self._stopping = threading.Condition(), False
        self._thread = threading.Thread(target=self._run, name="model")

    def start(self) -> None:
        """Once."""
        self._thread.start()

    def stop(self) -> None:
        """Abandons all jobs and waits for the thread, which may have a program to compile first."""
        with self._changed:
            self._stopping = True
            if self._drawing:
                self._drawing.abandoned = True
            self._changed.notify()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether jobs are drawn."""
        return self._thread.is_alive() and not self._stopping

    @property
    def waiting(self) -> int:
        """Jobs in line."""
        return len(self._line)

    def submit(self, job: Job) -> None:
        """Puts it in line, or raises QueueFullError."""
        with self._changed:
            if len(self._line) >= self._most:
                raise QueueFullError
            self._line.append(job)
            self._changed.notify()

    def drop(self, job: Job) -> None:
        """Takes it out of the line, or has it end soon; nothing where it is over."""
        with self._changed:
            job.abandoned = True
            if job in self._line:
                self._line.remove(job)

    def _run(self) -> None:
        while job := self._next():
            try:
                self._draw(job)
            except CancelledError:
                job.tell(End(failed=True))
            except Exception:  # such as too little memory: the next job may need less
                log.exception("a request has failed")
                job.tell(End(failed=True))

    def _next(self) -> Job | None:
        with self._changed:
            self._drawing = None
            self._changed.wait_for(lambda: self._line or self._stopping)
            if not self._stopping:
                self._drawing = self._line.popleft()
            return self._drawing

    def _draw(self, job: Job) -> None:
        asked = job.asked
        grown = job.tell if asked.stream and asked.single else None
        wanted = lambda: not job.abandoned  # noqa: E731
        for made in draw(self._engine, asked.requests, asked.how, asked.seed, self._batch, wanted, grown):
            job.tell(made)
        job.tell(End())
