"""Scores a file of samples; an interrupted run resumes from the journal of its judgements."""

import contextlib
import random
import time

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.problems.load import Benchmark
from codex_jax.problems.problem import Problem
from codex_jax.sandbox.check import STDLIB_ONLY, Policy
from codex_jax.sandbox.pool import CheckJob, run_jobs
from codex_jax.scoring.judge import Judge, Judgement
from codex_jax.scoring.results import failing_references, journal_path, result_row
from codex_jax.scoring.sample_files import SampleFile
from codex_jax.scoring.samples import digest
from codex_jax.storage.journal import Journal, open_journal
from codex_jax.storage.jsonl import Json, write_objects


def score(
    file: SampleFile, benchmark: Benchmark, timeout: float, workers: int, layer: str, policy: Policy = STDLIB_ONLY
) -> list[Json]:
    """Runs the samples without a judgement, writes file.out and returns its rows. timeout: CPU seconds per case.

    The journal is kept, so that a command with several files can resume in any of them.
    """
    judge, samples = Judge(timeout, policy), file.samples
    problems = [benchmark.problems[sample["task_id"]] for sample in samples]
    header: Json = {"samples": digest(samples), "problems": benchmark.digest, "timeout": timeout}
    if policy.packages:
        header["packages"] = [*policy.packages]
    with open_journal(journal_path(file.out), header) as journal, terminal.progress("score", len(samples)) as report:
        judgements = read_judgements(journal, len(samples))
        todo = [index for index in range(len(samples)) if index not in judgements]
        # Samples that run one after the other in a worker are then of different problems, and nobody can foresee which.
        random.SystemRandom().shuffle(todo)
        if judgements:
            terminal.note(f"{journal.path}: {len(judgements)} of {len(samples)} samples are scored already")
            report(len(judgements))
        passed = sum(judgement.passed for judgement in judgements.values())
        start = time.monotonic()
        jobs = (_job(judge, problems[index], samples[index]) for index in todo)
        with contextlib.closing(run_jobs(jobs, workers, layer)) as answers:
            for count, (number, judgement) in enumerate(answers, 1):
                index = todo[number]
                judgements[index] = judgement
                journal.append(_journal_row(index, judgement))
                passed += judgement.passed
                report(1, f"passed {passed}  {count / (time.monotonic() - start):,.0f} samples/s")
        pairs = enumerate(zip(samples, problems, strict=True))
        rows = [result_row(*pair, judgements[n], policy.packages) for n, pair in pairs]
        try:
            write_objects(file.out, rows)
        except OSError as error:
            raise InputError(f"cannot write {file.out}: {error.strerror}") from None
    for task_id, result in failing_references(rows).items():
        terminal.note(f"warning: the reference solution of {task_id} does not pass its own tests here: {result}")
    return rows


def read_judgements(journal: Journal, samples: int) -> dict[int, Judgement]:
    """Returns the journal's judgements by sample index; InputError for an invalid row."""
    judgements = {}
    for number, row in enumerate(journal.rows, 2):
        match row:
            case {"index": int(index), "result": str(result), "parts": dict(suites)} if 0 <= index < samples:
                judgements[index] = Judgement(result, suites, str(row.get("reference", "")))
            case _:
                raise InputError(f"{journal.path} line {number} is not a judgement: delete the file to start again")
    return judgements


def _journal_row(index: int, judgement: Judgement) -> Json:
    row = {"index": index, "result": judgement.result, "parts": judgement.suites}
    return {**row, "reference": judgement.reference} if judgement.reference else row


def _job(judge: Judge, problem: Problem, sample: Json) -> CheckJob[Judgement]:
    return lambda run: judge.judge(problem, problem.program(sample), run)
