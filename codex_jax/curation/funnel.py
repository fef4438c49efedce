"""What a command found, kept and dropped, by reason: a table, and a JSON file beside the problems."""

import json
from collections import Counter
from pathlib import Path

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_text_atomic
from codex_jax.storage.jsonl import Json

EXAMPLES = 5  # named per reason


class Funnel:
    """Counts of candidates. Each one that is found is either dropped, for one reason, or kept."""

    def __init__(self) -> None:
        self.found = 0
        self.dropped: Counter[str] = Counter()
        self.notes: Json = {}  # further fields of the report
        self._examples: dict[str, list[str]] = {}  # by reason

    def drop(self, reason: str, name: str) -> None:
        """Counts a candidate that was found before. name: shown in the report for the first ones of a reason."""
        self.dropped[reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(name)

    @property
    def kept(self) -> int:
        """The number of candidates that are left."""
        return self.found - self.dropped.total()

    def report(self) -> Json:
        """The counts as JSON."""
        reasons = dict(sorted(self.dropped.items(), key=lambda pair: (-pair[1], pair[0])))
        examples = {reason: self._examples[reason] for reason in reasons}
        return {"found": self.found, "kept": self.kept, "dropped": reasons, "examples": examples, **self.notes}

    def show(self, title: str) -> None:
        """Prints the table."""
        report = self.report()
        rows = [["", "problems"], ["found", f"{self.found:,}"]]
        rows += [[f"dropped: {reason.replace('_', ' ')}", f"{count:,}"] for reason, count in report["dropped"].items()]
        terminal.show(title, [*rows, ["kept", f"{self.kept:,}"]])

    def write(self, path: Path) -> None:
        """Writes the report. InputError if that fails."""
        try:
            write_text_atomic(path, json.dumps(self.report(), indent=2) + "\n")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}") from None
