"""Runs many checks on several workers. A worker that dies or hangs is replaced, and its check is tried once more."""

import contextlib
import json
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

from codex_jax.errors import InputError
from codex_jax.sandbox.check import STDLIB_ONLY, Check, Policy, Result
from codex_jax.sandbox.layers import no_layer_message
from codex_jax.sandbox.wire import frame

WALL = 8.0  # the limit on wall-clock time, as a multiple of the limit on CPU time
# Seconds past the wall-clock limit after which a worker counts as stuck. On a busy machine it may take long to remove
# the many files that a program left.
GRACE = 60.0
START = 60.0  # seconds in which a worker must start
PATIENCE = 5.0  # seconds in which a worker must exit when asked
# -I and an empty environment: nothing from the caller reaches the worker. -S: programs do not see installed packages.
FLAGS = ("-I", "-S", "-c")
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from codex_jax.sandbox.worker import main; main(*sys.argv[2:])"
PACKAGES = str(Path(__file__).parents[2])

Answer = TypeVar("Answer")
Run = Callable[[Check], Result]
CheckJob = Callable[[Run], Answer]  # runs one or more checks on a worker


class SandboxWorker:
    """A worker process with its fork server.

    layer: the name of the isolation layer in use; refused: why each better layer does not work here, by name.
    Raises InputError if no permitted layer works here.
    """

    def __init__(self, layer: str = "auto", policy: Policy = STDLIB_ONLY) -> None:
        self.policy = policy
        command = [sys.executable, *FLAGS, BOOT, PACKAGES, layer, json.dumps(asdict(policy))]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,  # Ctrl-C in the terminal must not reach the worker
        )
        self.pid = self._process.pid
        hello = self._read_line(START)
        if hello is None:
            self.close()
            raise InputError("a sandbox worker did not start: run python -m codex_jax.score --check")
        self.layer: str = hello["layer"]
        self.refused: dict[str, str] = hello["refused"]
        if not self.layer:
            self.close()
            raise InputError(no_layer_message(self.refused))

    def _read_line(self, seconds: float) -> dict | None:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        try:
            return json.loads(self._process.stdout.readline())
        except ValueError:
            return None

    def run(self, check: Check) -> Result | None:
        """Runs one check; None if the worker died or hangs, and then it must be closed.

        Raises ValueError if the check has another policy than the worker.
        """
        if check.policy != self.policy:
            raise ValueError(f"the worker was started with {self.policy}, and the check has {check.policy}")
        assert self._process.stdin is not None
        wall_seconds = WALL * check.cpu_seconds
        request = {
            "program": check.program,
            "entry_point": check.entry_point,
            "test": check.test,
            "setup": check.setup,
            "cpu_seconds": check.cpu_seconds,
            "wall_seconds": wall_seconds,
        }
        try:
            self._process.stdin.write(frame(json.dumps(request).encode()))
            self._process.stdin.flush()
        except OSError:
            return None
        answer = self._read_line(wall_seconds + GRACE)
        return Result(answer["status"], answer["cpu_seconds"]) if answer else None

    def close(self) -> None:
        """Asks the worker to exit, so that it can remove its scratch folder, and kills it if it does not."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


class Stopped(Exception):
    """The caller wants no more answers."""


def run_checks(
    checks: Iterable[Check], workers: int = 2, layer: str = "auto"
) -> Generator[tuple[int, Result], None, None]:
    """Yields (index of the check, its result) as checks finish, in any order."""

    def make_job(check: Check) -> CheckJob[Result]:
        return lambda run: run(check)

    return run_jobs(map(make_job, checks), workers, layer)


def run_jobs(
    jobs: Iterable[CheckJob[Answer]], workers: int = 2, layer: str = "auto"
) -> Generator[tuple[int, Answer], None, None]:
    """Yields (index of the job, what it returned) as jobs finish, in any order.

    Each job is called with a function that runs a check on one of the workers, and may call it any number of times.
    """
    todo: queue.SimpleQueue[tuple[int, CheckJob[Answer]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Answer] | BaseException] = queue.SimpleQueue()
    count = 0
    for count, job in enumerate(jobs, 1):
        todo.put((count - 1, job))
    stop = threading.Event()

    def work() -> None:
        worker: SandboxWorker | None = None

        def run(check: Check) -> Result:
            nonlocal worker
            for _ in range(2):
                if stop.is_set():
                    raise Stopped
                if worker is not None and worker.policy != check.policy:
                    worker.close()
                    worker = None
                worker = worker or SandboxWorker(layer, check.policy)
                result = worker.run(check)
                if result is not None:
                    return result
                worker.close()
                worker = None
            return Result("failed: the worker died twice on it")

        try:
            while not stop.is_set():
                try:
                    index, job = todo.get_nowait()
                except queue.Empty:
                    return
                done.put((index, job(run)))
        except BaseException as error:
            done.put(error)
        finally:
            if worker is not None:
                worker.close()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(max(1, min(workers, count)))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count):
            answer = done.get()
            if isinstance(answer, BaseException):
                raise answer
            yield answer
    finally:
        stop.set()
        for thread in threads:
            thread.join()
