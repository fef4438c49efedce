"""The thread that runs the model: requests wait for it in a queue, and leave the queue when they are cancelled."""

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from codex_jax.sampling.engine import Engine
from codex_jax.sampling.generate import Completion
from codex_jax.sampling.scheduler import GenerationCancelled
from codex_jax.serving.protocol import CompletionRequest
from codex_jax.serving.shapes import generate

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class End:
    """The last event of a request. failed: whether samples are missing."""

    failed: bool = False


Event = str | Completion | End  # a piece of a streamed sample's text, a finished sample, or the end


@dataclass(eq=False)
class QueuedRequest:
    """report is called by the model's thread; cancelled is set by other threads."""

    request: CompletionRequest
    report: Callable[[Event], None]
    cancelled: bool = False


class QueueFullError(Exception):
    """The queue has as many requests as it may have."""


class ModelThread:
    """Runs requests one at a time, in the order in which they arrive."""

    def __init__(self, engine: Engine, batch: int, max_waiting: int) -> None:
        """batch: samples drawn together by each copy of the model; max_waiting: length of the queue."""
        self._engine, self._batch, self._max_waiting = engine, batch, max_waiting
        self._queue: deque[QueuedRequest] = deque()
        self._running: QueuedRequest | None = None
        self._changed, self._stopping = threading.Condition(), False
        self._thread = threading.Thread(target=self._loop, name="model")

    def start(self) -> None:
        """Starts the thread; can be called once."""
        self._thread.start()

    def stop(self) -> None:
        """Cancels all requests and waits for the thread, which may have to finish compiling a program."""
        with self._changed:
            self._stopping = True
            if self._running:
                self._running.cancelled = True
            self._changed.notify()
        self._thread.join()

    @property
    def alive(self) -> bool:
        """Whether requests are being processed."""
        return self._thread.is_alive() and not self._stopping

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._queue)

    def submit(self, queued: QueuedRequest) -> None:
        """Adds a request to the queue; QueueFullError if it is full."""
        with self._changed:
            if len(self._queue) >= self._max_waiting:
                raise QueueFullError
            self._queue.append(queued)
            self._changed.notify()

    def cancel(self, queued: QueuedRequest) -> None:
        """Removes a request from the queue, or stops it soon if it is running; does nothing if it has ended."""
        with self._changed:
            queued.cancelled = True
            if queued in self._queue:
                self._queue.remove(queued)

    def _loop(self) -> None:
        while queued := self._next():
            try:
                self._run(queued)
                queued.report(End())
            except GenerationCancelled:
                queued.report(End(failed=True))
            except Exception:  # such as out of memory: the next request may need less
                log.exception("a request failed")
                queued.report(End(failed=True))

    def _next(self) -> QueuedRequest | None:
        with self._changed:
            self._running = None
            self._changed.wait_for(lambda: self._queue or self._stopping)
            if not self._stopping:
                self._running = self._queue.popleft()
            return self._running

    def _run(self, queued: QueuedRequest) -> None:
        request = queued.request
        events = generate(
            self._engine,
            request.prompts,
            request.params,
            request.seed,
            self._batch,
            request.stream and request.single,
            lambda: queued.cancelled,
        )
        for event in events:
            queued.report(event)
