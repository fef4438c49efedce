"""What a command found, kept and dropped, by reason: a table, and a JSON file beside the problems."""

import json
from collections import Counter, defaultdict
from pathlib import Path

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_text_atomic
from codex_jax.storage.jsonl import Json

EXAMPLES = 5  # named per reason
MAX_GROUPS = 60  # groups that are reported; a source with more of them is reported as a whole


class Funnel:
    """Counts of candidates. Each one that is found is either dropped, for one reason, or kept.

    They are also counted by group, such as the package, where the group is known.
    """

    def __init__(self) -> None:
        self.found = 0
        self.dropped: Counter[str] = Counter()
        self.notes: Json = {}  # further fields of the report
        self._examples: dict[str, list[str]] = {}  # by reason
        self._found: Counter[str] = Counter()  # by group
        self._dropped: defaultdict[str, Counter[str]] = defaultdict(Counter)  # by group

    def find(self, group: str) -> None:
        """Counts a candidate."""
        self.found += 1
        self._found[group] += bool(group)

    def drop(self, reason: str, name: str, group: str = "") -> None:
        """Counts a candidate that was found before. name: shown in the report for the first ones of a reason."""
        self.dropped[reason] += 1
        self._dropped[group][reason] += 1
        examples = self._examples.setdefault(reason, [])
        if len(examples) < EXAMPLES:
            examples.append(name)

    @property
    def kept(self) -> int:
        """The number of candidates that are left."""
        return self.found - self.dropped.total()

    @property
    def groups(self) -> dict[str, Json]:
        """The counts by group, most kept first. Empty if there are too many, or some candidates have no group."""
        if len(+self._found) > MAX_GROUPS or self._found.total() != self.found:
            return {}
        counts: dict[str, Json] = {}
        for group, found in (+self._found).items():
            dropped = self._dropped[group]
            counts[group] = {"found": found, "kept": found - dropped.total(), "dropped": _sorted(dropped)}
        return dict(sorted(counts.items(), key=lambda pair: (-int(pair[1]["kept"]), pair[0])))

    def report(self) -> Json:
        """The counts as JSON."""
        reasons = _sorted(self.dropped)
        examples = {reason: self._examples[reason] for reason in reasons}
        report = {"found": self.found, "kept": self.kept, "dropped": reasons, "examples": examples}
        return {**report, **({"groups": self.groups} if self.groups else {}), **self.notes}

    def show(self, title: str) -> None:
        """Prints the tables."""
        if len(self.groups) > 1:
            rows = [["", "found", "kept"]]
            rows += [[group, f"{one['found']:,}", f"{one['kept']:,}"] for group, one in self.groups.items()]
            terminal.show(title, rows)
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


def _sorted(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
