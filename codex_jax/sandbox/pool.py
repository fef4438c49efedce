"""Runs many checks on several workers. A worker that dies or hangs is replaced, and its check is tried once more."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TypeVar

from codex_jax.errors import InputError
from codex_jax.sandbox.check import STDLIB_ONLY, TIMED_OUT, Check, Policy, Result
from codex_jax.sandbox.layers import no_layer_message
from codex_jax.sandbox.packages import find_packages
from codex_jax.sandbox.wire import frame

WALL = 8.0  # the wall-clock limit as a multiple of the CPU limit
GRACE = 60.0  # seconds past the wall-clock limit until a worker counts as hung; deleting a program's files may be slow
START = 60.0  # seconds in which a worker must start
PATIENCE = 5.0  # seconds in which a worker must exit when asked
# -I isolates the worker from the caller's environment, and -S hides installed packages from programs.
FLAGS = ("-I", "-S", "-c")
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from codex_jax.sandbox.worker import main; main(*sys.argv[2:])"
PACKAGES = str(Path(__file__).parents[2])

Answer = TypeVar("Answer")
Run = Callable[[Check], Result]
CheckJob = Callable[[Run], Answer]  # may call the Run function any number of times


class SandboxWorker:
    """A worker process with its fork server.

    layer: the name of the isolation layer in use; refused: for each better layer, why it does not work here.
    Raises InputError if no permitted layer works, or a package of the policy is not installed.
    """

    def __init__(self, layer: str = "auto", policy: Policy = STDLIB_ONLY) -> None:
        self.policy = policy
        self._start(layer)

    def _start(self, layer: str) -> None:
        found = dict(find_packages(self.policy.packages))
        self._process = subprocess.Popen(
            [sys.executable, *FLAGS, BOOT, PACKAGES, layer, json.dumps(asdict(self.policy)), json.dumps(found)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal must not reach the worker
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._requests, self._answers = self._process.stdin, self._process.stdout
        self._unread = b""  # of the answers
        self.pid = self._process.pid
        hello = self._read_answer(START)
        self.layer: str = hello["layer"] if hello else ""
        self.refused: dict[str, str] = hello["refused"] if hello else {}
        self._children: list[int] = hello.get("children", []) if hello else []
        if not self.layer:
            self.close()
            if hello is None:
                raise InputError("a sandbox worker did not start: run python -m codex_jax.score --check")
            raise InputError(no_layer_message(self.refused))

    def _read_answer(self, seconds: float) -> dict | None:
        """The worker's next line; None if it ended, or sent nothing for these seconds."""
        while b"\n" not in self._unread:
            if not select.select([self._answers], [], [], seconds)[0]:
                return None
            part = os.read(self._answers.fileno(), 1 << 16)
            if not part:
                return None
            self._unread += part
        line, _, self._unread = self._unread.partition(b"\n")
        try:
            return json.loads(line)
        except ValueError:
            return None

    def run(self, check: Check) -> Result | None:
        """Runs one check; None if the worker died or hangs and must be closed. ValueError if the policies differ."""
        if check.policy != self.policy:
            raise ValueError(f"the worker was started with {self.policy}, and the check has {check.policy}")
        wall_seconds = WALL * check.cpu_seconds
        try:
            self._requests.write(frame(json.dumps({**asdict(check), "wall_seconds": wall_seconds}).encode()))
            self._requests.flush()
        except OSError:
            return None
        while (answer := self._read_answer(wall_seconds + GRACE)) == {}:  # the check goes on
            pass
        if answer is None and self._was_ended_for_time():
            self._start(self.layer)
            return Result(TIMED_OUT, check.cpu_seconds)
        return Result(**answer) if answer else None

    def _was_ended_for_time(self) -> bool:
        """Whether the kernel ended the worker because an answer kept it busy. If so, also closes it."""
        try:
            if self._process.wait(PATIENCE) != -signal.SIGXCPU:
                return False
        except subprocess.TimeoutExpired:
            return False
        self.close()
        for child in self._children:
            with contextlib.suppress(ChildProcessError):  # it is another's child, unless this process adopts orphans
                os.waitpid(child, 0)
        return True

    def kill(self) -> None:
        """Ends the worker at once, also during a check. Its fork server then ends the program and deletes its files."""
        self._process.kill()

    def close(self) -> None:
        """Asks the worker to exit, so that it can delete its scratch folder, and kills it if it does not exit."""
        with contextlib.suppress(OSError):
            self._requests.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        self._answers.close()


def run_checks(
    checks: Iterable[Check], workers: int = 2, layer: str = "auto"
) -> Generator[tuple[int, Result], None, None]:
    """Yields (index of the check, its result) as checks finish, in any order."""

    def run_check(check: Check, run: Run) -> Result:
        return run(check)

    return run_jobs((partial(run_check, check) for check in checks), workers, layer)


def run_jobs(
    jobs: Iterable[CheckJob[Answer]], workers: int = 2, layer: str = "auto"
) -> Generator[tuple[int, Answer], None, None]:
    """Yields (index of the job, its return value) as jobs finish, in any order. Each job uses one worker at a time.

    An exception in a job is raised here. Closing the generator, or interrupting it, ends the checks that are running.
    """
    slots: list[SandboxWorker | None] = [None] * workers  # idle workers; None: not started yet
    busy: set[SandboxWorker] = set()
    stop = threading.Event()

    def run_job(job: CheckJob[Answer]) -> Answer:
        worker = slots.pop()

        def run(check: Check) -> Result:
            nonlocal worker
            for _ in range(2):
                if worker is not None and worker.policy != check.policy:
                    worker.close()
                    worker = None
                worker = worker or SandboxWorker(layer, check.policy)
                busy.add(worker)
                if stop.is_set():
                    raise CancelledError
                result = worker.run(check)
                busy.discard(worker)
                if result is not None:
                    return result
                worker.close()
                worker = None
            return Result("failed: the worker died twice on it")

        try:
            return job(run)
        finally:
            slots.append(worker)

    executor = ThreadPoolExecutor(workers)
    try:
        indices = {executor.submit(run_job, job): index for index, job in enumerate(jobs)}
        for future in as_completed(indices):
            yield indices.pop(future), future.result()
    finally:
        stop.set()
        for worker in tuple(busy):
            worker.kill()
        executor.shutdown(cancel_futures=True)
        for worker in filter(None, slots):
            worker.close()
