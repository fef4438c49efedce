"""How fast a corpus is built and read, and what memory it takes: python experiments/benches/bench_corpus.py.

Building: the whole command, from source files to shards, by the local engine and by Apache Beam's default runner on the
same files. Memory: of all processes together, for a corpus and one four times its size. Reading: bench_reading.py.
Beam and grain are measured where they are installed (make test-interop makes such an environment).
"""

import importlib.util
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import bench_reading  # beside this file
import psutil
from rich.console import Console
from rich.table import Table

from codex_jax import cli
from codex_jax.corpus_build.publish import clear
from codex_jax.errors import InputError

FILE_BYTES = 8_000_000  # of a file of JSON lines
WORD = re.compile(r"\b[a-z]{5,}\b")


@dataclass(frozen=True)
class Args:
    """Builds a corpus of real code, with near-dedupe and p50k, several ways."""

    source: Path | None = None  # a folder of Python files; the running environment's packages unless given
    megabytes: int = 100  # of source for speed, and a quarter of the larger one for memory
    workers: int = 2  # processes of the local engine
    beam: bool = True  # whether to measure Beam too
    memory: bool = True  # whether to build the corpus of four times the size
    reading: bool = True  # whether to measure reading too


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """(repository, text) of every Python file, and then again with other names, as often as is asked."""
    paths = [path for path in sorted(folder.rglob("*.py")) if path.is_file() and path.stat().st_size < 1_000_000]
    if not paths:
        raise InputError(f"no Python file below {folder}: give --source a folder that has some")
    turn = 0
    while True:
        for path in paths:
            try:
                text = path.read_text("utf-8")
            except (UnicodeDecodeError, OSError):
                continue
            # A suffix to every longer word makes it another text, of the same kind.
            renamed = WORD.sub(lambda word, turn=turn: f"{word[0]}_{turn}", text) if turn else text
            yield f"{path.relative_to(folder).parts[0]}-{turn}", renamed
        turn += 1


def write_source(folder: Path, target: Path, size: int) -> int:
    """Files of JSON lines with so many bytes of text in all; returns the exact number."""
    target.mkdir()
    written, number, file = 0, 0, None
    for repo, text in texts(folder):
        if file is None or file.tell() > FILE_BYTES:
            if file:
                file.close()
            file = (target / f"{number:04d}.jsonl").open("w", encoding="utf-8")
            number += 1
        file.write(json.dumps({"content": text, "repo_name": repo}) + "\n")
        written += len(text.encode())
        if written >= size:
            break
    if file:
        file.close()
    return written


class Peak(threading.Thread):
    """The most memory that a process and all below it had to themselves, and in all, in bytes."""

    def __init__(self, process: int) -> None:
        """process: its number."""
        super().__init__(daemon=True)
        self.process, self.private, self.total, self.over = psutil.Process(process), 0, 0, threading.Event()

    def run(self) -> None:
        """Looks ten times a second."""
        while not self.over.wait(0.1):
            private = total = 0
            try:
                for one in [self.process, *self.process.children(recursive=True)]:
                    memory = one.memory_info()
                    private += memory.rss - memory.shared
                    total += memory.rss
            except psutil.Error:
                continue
            self.private, self.total = max(self.private, private), max(self.total, total)


@dataclass(frozen=True)
class Build:
    """One run of the command."""

    size: int
    seconds: float
    digest: str
    private: int
    total: int


def build(source: Path, size: int, out: Path, *flags: str) -> Build:
    """Runs the command in a process of its own and removes what it made."""
    command = [sys.executable, "-m", "codex_jax.corpus", f"jsonl:{source}", "--out", str(out), "--tokenizer", "p50k"]
    began = time.perf_counter()
    with subprocess.Popen([*command, *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        peak = Peak(process.pid)
        peak.start()
        output, errors = process.communicate()
    seconds = time.perf_counter() - began
    peak.over.set()
    peak.join()
    if process.returncode:
        raise InputError(f"{' '.join(command)} failed: {errors.strip().splitlines()[-1]}")
    digest = re.search(r"digest ([0-9a-f]{64})", output)
    assert digest
    clear(out)
    return Build(size, seconds, digest[1], peak.private, peak.total)


def main(args: Args) -> None:
    """The command."""
    if args.megabytes < 1 or args.workers < 1:
        raise InputError("--megabytes and --workers must be at least 1")
    folder = args.source or Path(psutil.__file__).parent.parent
    workers = ("--workers", str(args.workers))
    rows: list[tuple[str, Build]] = []
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        size = write_source(folder, root / "one", args.megabytes * 1_000_000)
        rows.append((f"local, {args.workers} workers", build(root / "one", size, root / "out" / "d", *workers)))
        if args.beam and importlib.util.find_spec("apache_beam"):
            flags = ("--beam", "DirectRunner")
            rows.append(("Beam's default runner", build(root / "one", size, root / "out" / "d", *flags)))
        if args.memory:
            size = write_source(folder, root / "four", 4 * args.megabytes * 1_000_000)
            rows.append((f"local, {args.workers} workers", build(root / "four", size, root / "out" / "d", *workers)))
    table = Table("engine", title="Source to shards: filters, exact and near dedupe, decontamination, p50k, packing")
    columns = ("MB of source", "seconds", "MB/s", "local is faster by", "private MiB at most", "MiB at most", "digest")
    for column in columns:
        table.add_column(column, justify="right")
    speed = rows[0][1].size / rows[0][1].seconds
    for name, made in rows:
        ours = made.size / made.seconds
        ratio = f"{speed / ours:.1f}x" if name.startswith("Beam") else ""
        memory = (f"{made.private / 2**20:,.0f}", f"{made.total / 2**20:,.0f}")
        numbers = (f"{made.size / 1e6:.1f}", f"{made.seconds:.1f}", f"{ours / 1e6:.2f}", ratio)
        table.add_row(name, *numbers, *memory, made.digest[:12])
    Console(width=140).print(table)
    if args.reading:
        bench_reading.main(bench_reading.Args())


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
