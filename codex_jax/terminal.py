"""Progress bars on stderr, or plain lines if stderr is not a terminal, and tables on stdout."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

PLAIN_SECONDS = 10.0  # between two plain progress lines
TABLE_WIDTH = 110  # characters


class Report(Protocol):
    """report(advance, note) advances the bar by `advance` steps and shows `note` beside it."""

    def __call__(self, advance: int = 1, note: str = "") -> None: ...


def warn(message: str) -> None:
    """Prints one line on stderr: the command goes on."""
    print(f"warning: {' '.join(message.split())}", file=sys.stderr, flush=True)


def tables() -> Console:
    """A console on stdout for tables: as wide as the terminal, or TABLE_WIDTH if stdout is not a terminal."""
    return Console() if sys.stdout.isatty() else Console(width=TABLE_WIDTH)


def show(title: str, rows: list[list[str]]) -> None:
    """Prints a table; the first row is the header, and every column but the first is right-aligned."""
    table = Table(title=title)
    header, *rest = rows
    for number, cell in enumerate(header):
        table.add_column(cell, justify="right" if number else "left")
    for row in rest:
        table.add_row(*row)
    tables().print(table)


@contextmanager
def progress(label: str, total: int, unit: str = "", shown: bool = True) -> Iterator[Report]:
    """Yields report(advance, note), which moves a bar on a terminal, or prints a line every 10 s elsewhere.

    total: steps, or bytes if unit is "bytes". shown: False prints nothing.
    """
    if not shown:
        yield lambda advance=1, note="": None
        return
    as_bytes = unit == "bytes"
    if sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            *((DownloadColumn(), TransferSpeedColumn()) if as_bytes else (MofNCompleteColumn(),)),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as bar:
            task = bar.add_task(label, total=total, note="")

            def report(advance: int = 1, note: str = "") -> None:
                bar.advance(task, advance)
                if note:
                    bar.update(task, note=note)

            yield report
        return

    done, latest, start = 0, "", time.monotonic()
    printed = start

    def line() -> None:
        elapsed = time.monotonic() - start
        left = elapsed / done * (total - done) if done else 0.0
        counts = f"{decimal(done)} of {decimal(total)}" if as_bytes else f"{done}/{total}"
        note = f" {latest}" if latest else ""
        print(f"{label} {counts}{note} elapsed {elapsed:.0f}s left {left:.0f}s", file=sys.stderr)

    def report_plain(advance: int = 1, note: str = "") -> None:
        nonlocal done, latest, printed
        done += advance
        latest = note or latest
        if time.monotonic() - printed >= PLAIN_SECONDS:
            printed = time.monotonic()
            line()

    yield report_plain
    line()
