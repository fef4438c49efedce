"""A file of samples run against its benchmark, from where an earlier run of the same was interrupted."""

import contextlib
import sys
import time

from codex_jax import terminal
from codex_jax.problems.load import Benchmark
from codex_jax.problems.task import Task
from codex_jax.sandbox.pool import CheckJob, run_jobs
from codex_jax.scoring.judge import Judge, Judgement
from codex_jax.scoring.results import Identity, open_journal, result_row, write_results
from codex_jax.scoring.sample_files import SampleFile
from codex_jax.scoring.samples import digest
from codex_jax.storage.jsonl import Json


def score(given: SampleFile, benchmark: Benchmark, timeout: float, workers: int, layer: str) -> list[Json]:
    """Runs what has no verdict yet, writes given.out and returns its rows; timeout: CPU seconds.

    The journal stays, so that a run of several files resumes in any of them.
    """
    judge, rows = Judge(timeout), given.rows
    pairs = [(benchmark.tasks[row["task_id"]], row) for row in rows]
    identity: Identity = {"samples": digest(rows), "problems": benchmark.digest, "timeout": timeout}
    with open_journal(given.out, identity, len(rows)) as journal, terminal.progress("score", len(rows)) as report:
        left = [index for index in range(len(rows)) if index not in journal.done]
        if journal.done:
            print(f"{journal.path}: {len(journal.done)} of {len(rows)} samples are scored already", file=sys.stderr)
            report(len(journal.done))
        passed = sum(judgement.passed for judgement in journal.done.values())
        began = time.monotonic()
        jobs = (_job(judge, *pairs[index]) for index in left)
        with contextlib.closing(run_jobs(jobs, workers, layer)) as answers:
            for done, (place, judgement) in enumerate(answers, 1):
                journal.add(left[place], judgement)
                passed += judgement.passed
                report(1, f"passed {passed}  {done / (time.monotonic() - began):,.0f} samples/s")
        results = [result_row(row, task, journal.done[index]) for index, (task, row) in enumerate(pairs)]
        write_results(given.out, results)
    for task_id, result in judge.failing_references.items():
        print(f"warning: the reference solution of {task_id} does not pass its own tests: {result}", file=sys.stderr)
    return results


def _job(judge: Judge, task: Task, row: Json) -> CheckJob[Judgement]:
    return lambda run: judge.judge(task, task.program(row), run)
