"""samples.jsonl, and the journal beside it that an interrupted run resumes from."""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.sampling.params import Sample
from codex_jax.storage.journal import Journal, open_journal
from codex_jax.storage.jsonl import Json, read_objects, write_objects

DIGITS = 16  # of a fingerprint
TEXT_FIELDS = ("task_id", "fingerprint")


def sample_fingerprint(settings: Any, prompt: str) -> str:
    """Equal for samples of the same model, settings, seed and prompt."""
    text = json.dumps([settings, prompt], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def to_row(task_id: str, number: int, sample: Sample, temperature: float, fingerprint: str) -> Json:
    """One line of samples.jsonl."""
    row = {"task_id": task_id, "sample": number, **asdict(sample), "temperature": temperature}
    return {**row, "fingerprint": fingerprint}


@dataclass
class SamplesFile:
    """samples.jsonl while it is incomplete: finished samples are in a journal, PATH.partial."""

    path: Path
    rows: dict[tuple[str, int], Json]  # finished samples by (task_id, number)
    journal: Journal

    def append(self, row: Json) -> None:
        """Adds a finished sample."""
        self.journal.append(row)
        self.rows[row["task_id"], row["sample"]] = row

    def publish(self, task_ids: Iterable[str]) -> None:
        """Writes samples.jsonl, in the order of task_ids and by the samples' numbers, and deletes the journal."""
        order = {task_id: n for n, task_id in enumerate(task_ids)}
        keys = sorted(self.rows, key=lambda key: (order[key[0]], key[1]))
        try:
            write_objects(self.path, (self.rows[key] for key in keys))
        except OSError as error:
            raise InputError(f"cannot write {self.path}: {error.strerror}") from None
        self.journal.path.unlink()


def check_out(path: Path, resume: bool) -> None:
    """InputError if samples cannot be written to `path`, or if they would replace others."""
    partial = path.with_name(path.name + ".partial")
    if path.is_dir():
        raise InputError(f"{path} is a folder: give a file, such as {path / 'samples.jsonl'}")
    if not resume and partial.exists():
        raise InputError(f"{partial} holds the samples of an interrupted run: add --resume, or delete it")
    if not resume and path.exists() and path.stat().st_size:
        raise InputError(f"{path} holds samples already: add --resume to complete them, or choose another --out")
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"cannot write {path}: {folder} is not a folder that can be written")


@contextmanager
def open_samples_file(path: Path, settings: Any, prompts: dict[str, str], resume: bool) -> Iterator[SamplesFile]:
    """Opens samples.jsonl for the samples of these settings, with prompts by task_id.

    resume: keeps the samples of `path` and of its journal. InputError if they belong to another run, or if there is a
    journal and resume is False.
    """
    check_out(path, resume)
    partial = path.with_name(path.name + ".partial")
    fingerprints = {task_id: sample_fingerprint(settings, prompt) for task_id, prompt in prompts.items()}

    def check(row: Json, source: Path) -> Json:
        if not isinstance(row.get("sample"), int) or fingerprints.get(row["task_id"]) != row["fingerprint"]:
            raise InputError(
                f"{source} holds samples of another run, with other settings or other problems "
                f"(the first: {row['task_id']!r}): choose another --out"
            )
        return row

    rows = [check(row, path) for row in read_objects(path, TEXT_FIELDS)] if resume and path.exists() else []
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}") from None
    with open_journal(partial, {"settings": sample_fingerprint(settings, "")}) as journal:
        rows += [check(row, partial) for row in journal.rows]
        yield SamplesFile(path, {(row["task_id"], row["sample"]): row for row in rows}, journal)
