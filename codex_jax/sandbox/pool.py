"""Many samples over several workers; a worker that dies or hangs is replaced, and its sample tried once more."""

import contextlib
import json
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from codex_jax.errors import InputError
from codex_jax.problems.problem import Problem
from codex_jax.sandbox.layers import missing
from codex_jax.sandbox.program import pack

WALL = 8.0  # a sample may wait for a CPU, its checker or anything else, up to this many times its limit in all
GRACE = 10.0  # seconds past that before a worker counts as stuck
START = 60.0  # seconds for a worker to say that it is there
PATIENCE = 5.0  # seconds for a worker to go when asked
# Without site: programs have the standard library alone. -I and no environment: nothing of the caller's reaches them.
FLAGS = ("-I", "-S", "-c")
BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from codex_jax.sandbox.worker import main; main(sys.argv[2])"
PACKAGES = str(Path(__file__).parents[2])

Answer = TypeVar("Answer")
Run = Callable[[Problem, str, float], tuple[str, float]]  # (problem, completion, CPU seconds) to (result, CPU seconds)
Job = Callable[[Run], Answer]


@dataclass(frozen=True)
class Verdict:
    """index: of the sample among those given; result: "passed", "timed out" or "failed: REASON"; seconds: of CPU."""

    index: int
    result: str
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the problem's test went through."""
        return self.result == "passed"


class Worker:
    """One worker's process; InputError where the layer does not work here. layer, refused: as it says."""

    def __init__(self, layer: str = "auto") -> None:
        command = [sys.executable, *FLAGS, BOOT, PACKAGES, layer]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,  # an interrupt from the terminal is for us alone
        )
        self.pid = self._process.pid
        hello = self._line(START)
        if hello is None:
            self.close()
            raise InputError("a sandbox worker did not start: run python -m codex_jax.score --check")
        self.layer: str = hello["layer"]
        self.refused: dict[str, str] = hello["refused"]
        if not self.layer:
            self.close()
            raise InputError(missing(self.refused))

    def _line(self, seconds: float) -> dict | None:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return None
        try:
            return json.loads(self._process.stdout.readline())
        except ValueError:
            return None

    def run(self, problem: Problem, completion: str, timeout: float) -> tuple[str, float] | None:
        """(result, CPU seconds), or None where the worker is no longer of use."""
        assert self._process.stdin is not None
        request = {
            "prompt": problem.prompt,
            "completion": completion,
            "entry_point": problem.entry_point,
            "canonical_solution": problem.canonical_solution,
            "test": problem.test,
            "timeout": timeout,
            "wall": WALL * timeout,
        }
        try:
            self._process.stdin.write(pack(json.dumps(request).encode()))
            self._process.stdin.flush()
        except OSError:
            return None
        answer = self._line(WALL * timeout + GRACE)
        return (answer["result"], answer["seconds"]) if answer else None

    def close(self) -> None:
        """Asks it to go, as it has a folder to take away, and kills it where it does not."""
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


def run_samples(
    samples: Iterable[tuple[Problem, str]], workers: int = 2, timeout: float = 3.0, layer: str = "auto"
) -> Iterator[Verdict]:
    """Verdicts on (problem, completion) pairs as they come, in no order; timeout: CPU seconds a sample."""

    def job(problem: Problem, completion: str) -> Job[tuple[str, float]]:
        return lambda run: run(problem, completion, timeout)

    with contextlib.closing(run_jobs((job(*pair) for pair in samples), workers, layer)) as answers:
        for index, (result, seconds) in answers:
            yield Verdict(index, result, seconds)


def run_jobs(
    jobs: Iterable[Job[Answer]], workers: int = 2, layer: str = "auto"
) -> Generator[tuple[int, Answer], None, None]:
    """(index, what the job returned) as they come. A job has one worker's run, and may use it as often as it likes."""
    todo: queue.SimpleQueue[tuple[int, Job[Answer]]] = queue.SimpleQueue()
    done: queue.SimpleQueue[tuple[int, Answer] | BaseException] = queue.SimpleQueue()
    count = 0
    for count, job in enumerate(jobs, 1):
        todo.put((count - 1, job))
    stop = threading.Event()

    def serve() -> None:
        worker = None

        def run(problem: Problem, completion: str, timeout: float) -> tuple[str, float]:
            nonlocal worker
            for _ in range(2):
                if stop.is_set():
                    raise Stopped
                worker = worker or Worker(layer)
                answer = worker.run(problem, completion, timeout)
                if answer is not None:
                    return answer
                worker.close()
                worker = None
            return "failed: the worker died twice on it", 0.0

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

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(max(1, min(workers, count)))]
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
