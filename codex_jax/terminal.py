"""Lines, tables and progress for the user. Text from files is shown as text: it never controls the terminal.

Tables and results go to stdout, messages and progress to stderr.
"""

import io
import itertools
import math
import sys
import time
import unicodedata
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

PLAIN_SECONDS = 10.0  # between two plain progress lines
TABLE_WIDTH = 110  # characters
LONGEST_LINE = 4000  # characters of a message
MARKS = 100  # an estimate notes the time after each hundredth of what it has seen


class Report(Protocol):
    """report(advance, note) advances the bar by `advance` steps and shows `note` beside it."""

    def __call__(self, advance: int = 1, note: str = "") -> None: ...


def plain(text: object, keep: str = "") -> str:
    """str(text) with control, format and unassigned characters and surrogates as escapes, such as \\x1b.

    These could move the cursor, set the terminal's title, or reorder the text. keep: characters to leave as they are.
    """
    shown = str(text)
    if shown.isprintable():
        return shown
    return "".join(one if _is_shown(one) or one in keep else one.encode("unicode_escape").decode() for one in shown)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"


def one_line(text: object) -> str:
    """plain(text), with each run of whitespace as one space, and only the beginning of a very long text."""
    shown = str(text)
    cut = shown if len(shown) <= LONGEST_LINE else f"{shown[:LONGEST_LINE]}…"
    return plain(" ".join(cut.split()))


def say(text: object) -> None:
    """Prints a line on stdout."""
    print(plain(text))


def note(text: object) -> None:
    """Prints a line on stderr; nothing if stderr cannot be written."""
    with suppress(OSError, ValueError):
        print(one_line(text), file=sys.stderr or io.StringIO(), flush=True)


def warn(text: object) -> None:
    """Prints a warning as a line on stderr: the command goes on."""
    note(f"warning: {text}")


def tables() -> Console:
    """A console on stdout for tables: as wide as the terminal, or TABLE_WIDTH if stdout is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=TABLE_WIDTH)


def show(title: str, rows: list[list[str]]) -> None:
    """Prints a table; the first row is the header, and every column but the first is right-aligned."""
    # Text, because rich reads markup in a str.
    table = Table(title=Text(plain(title)))
    header, *rest = rows
    for number, cell in enumerate(header):
        table.add_column(Text(plain(cell)), justify="right" if number else "left")
    for row in rest:
        table.add_row(*(Text(plain(cell)) for cell in row))
    tables().print(table)


class Estimate:
    """The time left, at the pace of the latest half of what this command has finished.

    So what happens once, such as compiling, is soon forgotten, and what recurs, such as evaluating, counts.
    """

    def __init__(self, total: int, done: int = 0) -> None:
        """done: what an earlier command has finished."""
        self.total, self.done = total, done
        self._marks: deque[tuple[float, int]] = deque()  # the time and the work done then
        self._first = 0  # work done at the first report

    def add(self, count: int) -> None:
        """`count` more is finished."""
        self.done += count
        if not self._marks:
            self._first = self.done
        elif MARKS * (self.done - self._marks[-1][1]) < self.done - self._first:
            return
        self._marks.append((time.monotonic(), self.done))
        while len(self._marks) > 2 and self._marks[1][1] <= (self._first + self.done) / 2:
            self._marks.popleft()

    def seconds(self) -> float:
        """The seconds left; not a number after fewer than two reports."""
        if self.done >= self.total:
            return 0.0
        if not self._marks or self.done == self._marks[0][1]:
            return math.nan
        began, before = self._marks[0]
        return (time.monotonic() - began) / (self.done - before) * (self.total - self.done)

    def __str__(self) -> str:
        seconds = self.seconds()
        return "?" if math.isnan(seconds) else duration(seconds)


def duration(seconds: float) -> str:
    """Such as 42s, 18m05s, 7h31m or 20d04h."""
    units = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))
    whole = round(seconds)
    for (large, unit), (small, smaller) in itertools.pairwise(units):
        if whole >= large:
            return f"{whole // large}{unit}{whole % large // small:02}{smaller}"
    return f"{whole}s"


@contextmanager
def progress(label: str, total: int, unit: str = "", shown: bool = True, done: int = 0) -> Iterator[Report]:
    """Yields report(advance, note), which moves a bar on a terminal, or prints a line every 10 s elsewhere.

    total: steps, or bytes if unit is "bytes". shown: False prints nothing. done: what an earlier command has finished.
    """
    if not shown:
        yield lambda advance=1, note="": None
        return
    label, as_bytes, estimate = plain(label), unit == "bytes", Estimate(total, done)
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            *((DownloadColumn(), TransferSpeedColumn()) if as_bytes else (MofNCompleteColumn(),)),
            TextColumn("{task.fields[note]}", markup=False),
            TextColumn("{task.fields[left]} left", markup=False),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, completed=done, note="", left="?")

            def report(advance: int = 1, note: str = "") -> None:
                estimate.add(advance)
                bar.update(task, advance=advance, left=str(estimate))
                if note:
                    bar.update(task, note=plain(note))

            yield report
        return

    latest, start = "", time.monotonic()
    printed = start

    def line() -> None:
        elapsed = duration(time.monotonic() - start)
        counts = f"{decimal(estimate.done)} of {decimal(total)}" if as_bytes else f"{estimate.done}/{total}"
        noted = f" {latest}" if latest else ""
        note(f"{label} {counts}{noted} elapsed {elapsed} left {estimate}")

    def report_plain(advance: int = 1, note: str = "") -> None:
        nonlocal latest, printed
        estimate.add(advance)
        latest = plain(note) or latest
        if time.monotonic() - printed >= PLAIN_SECONDS:
            printed = time.monotonic()
            line()

    yield report_plain
    line()
