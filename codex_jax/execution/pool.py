"""Many samples over several workers; a worker that dies or hangs is replaced, and its sample tried once more."""

import json
import queue
import select
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from codex_jax.benchmarks.problem import Problem
from codex_jax.execution.program import pack

GRACE = 10.0  # seconds past the sample's own limit before a worker counts as stuck


@dataclass(frozen=True)
class Verdict:
    """index: of the sample among those given; result: "passed", "timed out" or "failed: REASON"."""

    index: int
    result: str

    @property
    def passed(self) -> bool:
        """Whether the problem's test went through."""
        return self.result == "passed"


class _Worker:
    def __init__(self) -> None:
        # -I and no environment: nothing of the caller's reaches a program.
        command = [sys.executable, "-I", "-m", "codex_jax.execution.worker"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={}, cwd="/"
        )

    def run(self, problem: Problem, completion: str, timeout: float) -> str | None:
        """The result, or None where the worker is no longer of use."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        program = {
            "prompt": problem.prompt,
            "completion": completion,
            "entry_point": problem.entry_point,
            "timeout": timeout,
        }
        # A message of its own, which never enters the memory that the program is forked from.
        checker = {
            "prompt": problem.prompt,
            "canonical_solution": problem.canonical_solution,
            "test": problem.test,
        }
        try:
            for message in (program, checker):
                self._process.stdin.write(pack(json.dumps(message).encode()))
            self._process.stdin.flush()
            if not select.select([self._process.stdout], [], [], timeout + GRACE)[0]:
                return None
            return json.loads(self._process.stdout.readline())["result"]
        except (OSError, ValueError):
            return None

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


def run_samples(samples: Iterable[tuple[Problem, str]], workers: int = 2, timeout: float = 3.0) -> Iterator[Verdict]:
    """Verdicts on (problem, completion) pairs as they come, in no order; timeout: wall-clock seconds a sample."""
    todo: queue.SimpleQueue[tuple[int, Problem, str]] = queue.SimpleQueue()
    done: queue.SimpleQueue[Verdict | BaseException] = queue.SimpleQueue()
    count = 0
    for count, (problem, completion) in enumerate(samples, 1):
        todo.put((count - 1, problem, completion))
    stop = threading.Event()

    def serve() -> None:
        worker = _Worker()
        try:
            while not stop.is_set():
                try:
                    index, problem, completion = todo.get_nowait()
                except queue.Empty:
                    return
                result = None
                for _ in range(2):
                    result = worker.run(problem, completion, timeout)
                    if result is not None:
                        break
                    worker.close()
                    worker = _Worker()
                done.put(Verdict(index, result or "failed: the worker died twice on it"))
        except BaseException as error:
            done.put(error)
        finally:
            worker.close()

    threads = [threading.Thread(target=serve, daemon=True) for _ in range(max(1, min(workers, count)))]
    for thread in threads:
        thread.start()
    try:
        for _ in range(count):
            verdict = done.get()
            if isinstance(verdict, BaseException):
                raise verdict
            yield verdict
    finally:
        stop.set()
        for thread in threads:
            thread.join()
