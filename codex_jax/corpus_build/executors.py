"""Runs the tasks of a phase in processes of this machine. beam_executor.py runs the same tasks with Beam."""

import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from typing import Protocol

from codex_jax import terminal
from codex_jax.corpus_build.tasks import Marker, Task, run_task
from codex_jax.errors import InputError
from codex_jax.storage.remote_files import Folder


class InterruptedBuildError(InputError):
    """The build stopped, but the same command can resume it."""


class Executor(Protocol):
    """Runs independent tasks that read from and write to a work folder."""

    def run(self, label: str, work: Folder, tasks: Sequence[Task]) -> Iterator[Marker]:
        """Yields the tasks' markers in order. Raises a task's exception, or InterruptedBuildError if a worker fails."""

    def shutdown(self) -> None:
        """Stops the workers and drops the tasks that have not started."""


class LocalExecutor:
    """Runs tasks in processes of this machine."""

    def __init__(self, workers: int) -> None:
        """workers: number of processes. Call shutdown at the end."""
        # Processes are spawned, not forked: this process has threads.
        self._pool = ProcessPoolExecutor(workers, get_context("spawn"), _exit_on_interrupt)
        self._most_running = 4 * workers

    def run(self, label: str, work: Folder, tasks: Sequence[Task]) -> Iterator[Marker]:
        """See Executor."""
        try:
            with terminal.progress(label, sum(task.size for task in tasks), unit="bytes") as report:
                yield from self._run(work, tasks, report)
        except BrokenProcessPool:
            raise InterruptedBuildError(
                "a worker process was killed, perhaps because memory ran out: try fewer --workers; "
                "finished work is kept"
            ) from None

    def _run(self, work: Folder, tasks: Sequence[Task], report: terminal.Report) -> Iterator[Marker]:
        finished: dict[int, Marker] = {}
        running: dict[Future[Marker], int] = {}
        started = yielded = 0
        while yielded < len(tasks):
            # Limits the tasks that wait in the pool, and the markers that wait for a slow task before them.
            while (
                len(running) < self._most_running
                and started < len(tasks)
                and started - yielded < 8 * self._most_running
            ):
                with _interrupts_blocked():
                    running[self._pool.submit(run_task, work, tasks[started])] = started
                started += 1
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                number = running.pop(future)
                finished[number] = future.result()
                report(tasks[number].size)
            while yielded in finished:
                yield finished.pop(yielded)
                yielded += 1

    def shutdown(self) -> None:
        """See Executor."""
        self._pool.shutdown(cancel_futures=True)


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    # A process started in this block gets Ctrl-C only after _exit_on_interrupt; earlier it would print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _exit_on_interrupt() -> None:
    # Ctrl-C ends a worker silently, because the main process prints the message.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])
