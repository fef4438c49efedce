"""Turns what a command found into problems.jsonl: each reference passes its tests in the sandbox, several times over.

An interrupted command resumes from OUT.partial, the journal of what has run in the sandbox.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_jax import terminal
from codex_jax.curation.finishing import contaminated, near_copies, splits_by_repo
from codex_jax.curation.funnel import Funnel
from codex_jax.curation.made_problem import MadeProblem
from codex_jax.errors import InputError
from codex_jax.problems.load import protected_texts
from codex_jax.problems.problem import PASSED, TIMED_OUT, Problem
from codex_jax.sandbox.check import HARNESS, STDLIB_ONLY
from codex_jax.sandbox.pool import CheckJob, Run, run_jobs
from codex_jax.scoring.judge import Judge
from codex_jax.scoring.results import check_out, delete_journal, journal_path
from codex_jax.storage.journal import Journal, open_journal
from codex_jax.storage.jsonl import Json, write_objects
from codex_jax.text.contamination import ContaminationIndex, make_index

MAX_TIMEOUT = 3600.0  # CPU seconds
MAX_REPEATS = 100


@dataclass(frozen=True, kw_only=True)
class MakingSettings:
    """The flags that all subcommands share."""

    out: Path  # problems.jsonl; OUT_report.json gets the counts
    protect: tuple[str, ...] = ("humaneval", "building_blocks")
    """Benchmarks whose problems must not be made: humaneval, building_blocks, mbpp:FILE, apps:DIR, FILE.jsonl; "none"
    for none."""
    near_dedupe: bool = True  # drop near copies (Jaccard 0.8 over 5-word shingles of prompt and solution)
    repeats: int = 3  # times that each reference must pass, each time in processes with another hash seed
    timeout: float = 3.0  # CPU seconds per run
    workers: int = max(1, os.cpu_count() or 1)  # programs that run at a time
    seed: int = 0  # seed of the assignment of repositories to splits
    unsafe: bool = False  # if no sandbox works, only limit resources: programs may then do all that you may do

    def check(self, inputs: Iterable[Path] = ()) -> None:
        """InputError for an invalid value. inputs: files that must not be replaced."""
        if not 0 < self.timeout <= MAX_TIMEOUT or self.workers < 1:
            raise InputError(f"--timeout must be above 0 and at most {MAX_TIMEOUT:.0f}, and --workers at least 1")
        if not 1 <= self.repeats <= MAX_REPEATS or self.seed < 0:
            raise InputError(f"--repeats must be from 1 to {MAX_REPEATS}, and --seed not negative")
        check_out(self.out, inputs)
        if self.out.exists() and self.out.stat().st_size:
            raise InputError(f"{self.out} has problems already: delete it, or choose another --out")
        if not self.out.parent.is_dir():
            raise InputError(f"no folder {self.out.parent}: create it, or give another --out")

    @property
    def report_path(self) -> Path:
        """The file of the counts."""
        return self.out.with_name(self.out.name + "_report.json")


class Workshop:
    """Runs jobs in the sandbox, and journals their answers. Made by open_workshop."""

    def __init__(self, settings: MakingSettings, layer: str, protected: ContaminationIndex, journal: Journal) -> None:
        self.settings, self.protected = settings, protected
        self._layer, self._journal = layer, journal
        self._done: dict[tuple[str, str], Any] = {}
        for number, row in enumerate(journal.rows, 2):
            match row:
                case {"stage": str(stage), "key": str(key), "answer": answer}:
                    self._done[stage, key] = answer
                case _:
                    raise InputError(f"{journal.path} line {number} is not an answer: delete the file to start again")

    def run(self, stage: str, jobs: Mapping[str, CheckJob[Any]]) -> dict[str, Any]:
        """The answers of jobs by their keys. Those in the journal are not run again. Answers must be plain JSON.

        Each call uses new sandbox processes, whose hash seeds differ.
        """
        answers = {key: self._done[stage, key] for key in jobs if (stage, key) in self._done}
        todo = [key for key in jobs if key not in answers]
        with terminal.progress(stage, len(jobs)) as report:
            report(len(answers))
            running = run_jobs((jobs[key] for key in todo), self.settings.workers, self._layer)
            with contextlib.closing(running):
                for number, answer in running:
                    answers[todo[number]] = answer
                    self._journal.append({"stage": stage, "key": todo[number], "answer": answer})
                    report()
        return answers

    def failures(self, problems: Mapping[str, Problem]) -> dict[str, tuple[str, str]]:
        """(reason, result) of the references that do not pass their own tests each time, by the problem's key."""
        results: dict[str, list[str]] = {key: [] for key in problems}
        for number in range(1, self.settings.repeats + 1):
            # One that failed at once is not run again; one that fails later is not deterministic.
            todo = {key: problem for key, problem in problems.items() if results[key].count(PASSED) == number - 1}
            for key, result in self.run(f"check {number}", {key: self._check(p) for key, p in todo.items()}).items():
                results[key].append(result)
        return {key: (reason, given[-1]) for key, given in results.items() if (reason := _reason(given))}

    def _check(self, problem: Problem) -> CheckJob[str]:
        def job(run: Run) -> str:
            return Judge(self.settings.timeout, STDLIB_ONLY).judge(problem, problem.reference, run).result

        return job


def _reason(results: Sequence[str]) -> str:
    last = results[-1]
    if last == PASSED:
        return ""
    if len(results) > 1:
        return "not_deterministic"
    if last == TIMED_OUT:
        return "reference_times_out"
    return "values_cannot_be_sent" if last.startswith(HARNESS) else "reference_fails"


@contextlib.contextmanager
def open_workshop(settings: MakingSettings, layer: str, header: Json) -> Iterator[Workshop]:
    """A Workshop with the journal of this command. header: what decides its answers, such as the sources."""
    header = {**header, "timeout": settings.timeout}
    protected = make_index(protected_texts(settings.protect))  # before there is a journal, as it may be bad input
    with open_journal(journal_path(settings.out), header) as journal:
        yield Workshop(settings, layer, protected, journal)


def finish(made: Iterable[MadeProblem], workshop: Workshop, funnel: Funnel) -> list[Json]:
    """The rows of the problems that are kept. The others are counted in the funnel."""
    settings = workshop.settings
    problems: list[MadeProblem] = []
    names: set[str] = set()
    for one in made:
        if one.task_id in names:
            funnel.drop("same_name", one.task_id, one.repo)
            continue
        names.add(one.task_id)
        problems.append(one)
    found = contaminated([one.text for one in problems], workshop.protected)
    problems = _keep(problems, found, "contaminated", funnel)
    if settings.near_dedupe:
        problems = _keep(problems, near_copies([one.text for one in problems]), "near_duplicate", funnel)
    failed = workshop.failures({one.key: one.problem() for one in problems})
    for one in problems:
        if one.key in failed:
            reason, result = failed[one.key]
            funnel.drop(reason, f"{one.task_id}: {result}", one.repo)
    kept = [one for one in problems if one.key not in failed]
    splits = splits_by_repo([one.repo for one in kept], [one.text for one in kept], settings.seed)
    return [one.row(split) for one, split in zip(kept, splits, strict=True)]


def _keep(problems: list[MadeProblem], faults: Sequence[object], reason: str, funnel: Funnel) -> list[MadeProblem]:
    for one, fault in zip(problems, faults, strict=True):
        if fault:
            funnel.drop(reason, f"{one.task_id}: {fault}" if isinstance(fault, str) else one.task_id, one.repo)
    return [one for one, fault in zip(problems, faults, strict=True) if not fault]


def publish_rows(rows: list[Json], settings: MakingSettings, funnel: Funnel, title: str) -> int:
    """Writes the problems and the report, shows the table and deletes the journal. Returns 1 if no problem is left."""
    counts = {split: sum(row.get("split") == split for row in rows) for split in ("train", "validation", "test")}
    funnel.notes |= {"splits": counts, "protected": [*settings.protect], "repeats": settings.repeats}
    try:
        write_objects(settings.out, rows)
    except OSError as error:
        raise InputError(f"cannot write {settings.out}: {error.strerror}") from None
    funnel.write(settings.report_path)
    funnel.show(title)
    delete_journal(settings.out)
    terminal.say(f"{settings.out}: " + ", ".join(f"{split} {count}" for split, count in counts.items()))
    return int(not rows)
