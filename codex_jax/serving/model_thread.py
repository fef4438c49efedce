"""The thread that runs the model. Requests wait for it in a queue, and leave the queue when they are cancelled."""

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
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


class QueueFullError(Exception):
    """The queue is full."""


class ModelThread:
    """Runs requests one at a time, in the order in which they arrive."""

    def __init__(self, engine: Engine, batch: int, max_waiting: int) -> None:
        """batch: samples drawn together by each copy of the model; max_waiting: length of the queue."""
        self._engine, self._batch, self._max_waiting = engine, batch, max_waiting
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="model")
        self._futures: list[Future] = []
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Cancels all requests and waits for the thread, which may have to finish compiling a program."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    @property
    def alive(self) -> bool:
        """Whether requests are accepted."""
        return not self._stopping.is_set()

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return sum(not (future.running() or future.done()) for future in self._futures)

    def submit(self, request: CompletionRequest, report: Callable[[Event], None]) -> Callable[[], None]:
        """Adds a request to the queue and returns a function that cancels it; QueueFullError if the queue is full.

        The thread calls `report` with each event. All calls of this method must come from one thread.
        """
        if self.waiting >= self._max_waiting:
            raise QueueFullError
        cancelled = threading.Event()
        future = self._pool.submit(self._run, request, report, cancelled)
        self._futures = [one for one in self._futures if not one.done()] + [future]

        def cancel() -> None:
            cancelled.set()
            future.cancel()

        return cancel

    def _run(self, request: CompletionRequest, report: Callable[[Event], None], cancelled: threading.Event) -> None:
        stream = request.stream and request.single
        stopped = lambda: cancelled.is_set() or self._stopping.is_set()  # noqa: E731
        failed = True
        try:
            arguments = self._engine, request.prompts, request.params, request.seed, self._batch
            for event in generate(*arguments, stream, stopped):
                report(event)
            failed = False
        except GenerationCancelled:
            pass
        except Exception:  # such as out of memory: the next request may need less
            log.exception("a request failed")
        report(End(failed))
