"""The file that samples stream to: a partial one as they finish, then the whole one in order."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.sampling.params import Sample
from codex_jax.storage.jsonl import Json, parse, read_lines, read_objects, write_objects

DIGITS = 16  # of a fingerprint
TEXT_FIELDS = ("task_id", "fingerprint")


def fingerprint(settings: Any, prompt: str) -> str:
    """Tells samples that were drawn alike from others: by the model, the settings, the seed and the prompt."""
    text = json.dumps([settings, prompt], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGITS]


def to_row(task_id: str, number: int, sample: Sample, temperature: float) -> Json:
    """One line of samples.jsonl, less its fingerprint."""
    return {"task_id": task_id, "sample": number, **dataclasses.asdict(sample), "temperature": temperature}


class Output:
    """samples.jsonl in the making: OUT.partial until all is there."""

    def __init__(self, path: Path, fingerprints: dict[str, str], resume: bool) -> None:
        """fingerprints: by task_id. resume: what is there is kept; InputError where it is of another run."""
        self.path, self._fingerprints = path, fingerprints
        self.partial = path.with_name(path.name + ".partial")
        self.rows: dict[tuple[str, int], Json] = {}
        if resume:
            for source in (path, self.partial):
                self._take(source)
        elif self.partial.exists():
            raise InputError(f"{self.partial} holds what an earlier run had drawn: add --resume, or remove it")

    def _take(self, source: Path) -> None:
        if not source.exists():
            return
        for row in (_whole_lines if source == self.partial else _all_lines)(source):
            task_id, number = row["task_id"], row.get("sample")
            if not isinstance(number, int) or self._fingerprints.get(task_id) != row["fingerprint"]:
                raise InputError(
                    f"{source} holds samples of another run, of other settings or of other problems "
                    f"(the first: {task_id!r}): choose another --out"
                )
            self.rows[task_id, number] = row

    def write(self, rows: Iterable[Json]) -> None:
        """Writes each row as it comes."""
        write_objects(self.partial, self.rows.values())  # less a line that was cut off
        with self.partial.open("a", encoding="utf-8") as file:
            for row in rows:
                row["fingerprint"] = self._fingerprints[row["task_id"]]
                self.rows[row["task_id"], row["sample"]] = row
                file.write(json.dumps(row) + "\n")
                file.flush()

    def finish(self, task_ids: Iterable[str]) -> None:
        """The whole file, by task in this order and by sample's number."""
        order = {task_id: n for n, task_id in enumerate(task_ids)}
        keys = sorted(self.rows, key=lambda key: (order[key[0]], key[1]))
        write_objects(self.path, (self.rows[key] for key in keys))
        self.partial.unlink(missing_ok=True)


def _all_lines(path: Path) -> Iterator[Json]:
    return read_objects(path, TEXT_FIELDS)


def _whole_lines(path: Path) -> Iterator[Json]:
    # A killed run may have left half a line at the end.
    lines = list(read_lines(path))
    for place, (number, line) in enumerate(lines):
        reason, row = parse(line, TEXT_FIELDS)
        if reason and place + 1 < len(lines):
            raise InputError(f"{path} line {number}: {reason}")
        if not reason:
            yield row
