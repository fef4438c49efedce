"""Measures the speed and the memory of building a corpus, with local processes and with Apache Beam's DirectRunner.

python experiments/benches/bench_corpus.py runs the whole command, from source files to shards, in a separate process.
Memory is summed over all processes, for one corpus and for one four times as large. Beam is measured if it is installed
(make EXTRA=interop install). At the end bench_reading.py measures reading.
"""

import importlib.util
import json
import os
import re
import shutil
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
from codex_jax.errors import InputError

FILE_BYTES = 8_000_000  # size of a file of JSON lines
WORD = re.compile(r"\b[a-z]{5,}\b")


@dataclass(frozen=True)
class Args:
    """Builds a corpus of real code, with near-dedupe and p50k, in several ways."""

    source: Path | None = None  # a folder of Python files; default: the packages of the running environment
    megabytes: int = 100  # of source; the larger corpus has four times as much
    workers: int = 2  # local processes, and processes of Beam's DirectRunner
    beam: bool = True  # measure Beam
    memory: bool = True  # build the larger corpus too
    reading: bool = True  # measure reading too
    compare: Path | None = None  # a checkout of another version to measure too


def texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Yields (repository, text) of every Python file, then again with other identifiers, endlessly."""
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
            # A suffix on every longer word makes a different text of the same kind.
            renamed = WORD.sub(lambda word, turn=turn: f"{word[0]}_{turn}", text) if turn else text
            yield f"{path.relative_to(folder).parts[0]}-{turn}", renamed
        turn += 1


def write_source(folder: Path, target: Path, size: int) -> int:
    """Writes files of JSON lines with about `size` bytes of text; returns the exact number."""
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


class PeakMemory(threading.Thread):
    """The peak memory of a process and its descendants, in bytes: private, and total."""

    def __init__(self, pid: int) -> None:
        """pid: the process to measure."""
        super().__init__(daemon=True)
        self.process, self.private, self.total, self.stop = psutil.Process(pid), 0, 0, threading.Event()

    def run(self) -> None:
        """Measures ten times a second."""
        while not self.stop.wait(0.1):
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
class Result:
    """One run of the command. size: bytes of source; cpu_seconds: of all its processes; memory in bytes."""

    name: str
    size: int
    seconds: float
    cpu_seconds: float
    digest: str
    private: int
    total: int


def build(name: str, source: Path, size: int, out: Path, flags: list[str], code: Path | None) -> Result:
    """Runs the command in a separate process and deletes its output. code: a checkout, or None for this one."""
    command = [sys.executable, "-m", "codex_jax.corpus", f"jsonl:{source}", "--out", str(out), "--tokenizer", "p50k"]
    environment = {**os.environ, **({"PYTHONPATH": str(code)} if code else {})}
    began, cpu_before = time.perf_counter(), os.times()
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # -m puts the current folder before PYTHONPATH, so the command starts elsewhere.
    with subprocess.Popen([*command, *flags], **pipes, text=True, env=environment, cwd=source) as process:
        peak = PeakMemory(process.pid)
        peak.start()
        output, errors = process.communicate()
    seconds, cpu = time.perf_counter() - began, os.times()
    cpu_seconds = cpu.children_user + cpu.children_system - cpu_before.children_user - cpu_before.children_system
    peak.stop.set()
    peak.join()
    if process.returncode:
        raise InputError(f"{' '.join(command)} failed: {errors.strip().splitlines()[-1]}")
    digest = re.search(r"digest ([0-9a-f]{64})", output)
    assert digest
    shutil.rmtree(out)
    return Result(name, size, seconds, cpu_seconds, digest[1], peak.private, peak.total)


def main(args: Args) -> None:
    """The command."""
    if args.megabytes < 1 or args.workers < 1:
        raise InputError("--megabytes and --workers must be at least 1")
    folder = args.source or Path(psutil.__file__).parent.parent
    executors = {f"local, {args.workers} processes": ["--workers", str(args.workers)]}
    if args.beam and importlib.util.find_spec("apache_beam"):
        processes = ["--beam-options", f"direct_num_workers={args.workers}", "direct_running_mode=multi_processing"]
        executors["Beam DirectRunner"] = ["--beam", "DirectRunner"]
        executors[f"Beam DirectRunner, {args.workers} processes"] = ["--beam", "DirectRunner", *processes]
    versions = {"": None, **({", other version": args.compare.absolute()} if args.compare else {})}
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        size = write_source(folder, root / "one", args.megabytes * 1_000_000)
        for name, flags in executors.items():
            for version, code in versions.items():
                results.append(build(name + version, root / "one", size, root / "out" / "d", flags, code))
        if args.memory:
            size = write_source(folder, root / "four", 4 * args.megabytes * 1_000_000)
            name, flags = next(iter(executors.items()))
            results.append(build(name, root / "four", size, root / "out" / "d", flags, None))
    title = "Source to shards: filters, exact and near dedupe, decontamination, p50k, packing"
    table = Table("executor", title=title)
    columns = ("MB of source", "seconds", "CPU s", "MB/s", "speed of local", "most private MiB", "most MiB", "digest")
    for column in columns:
        table.add_column(column, justify="right")
    for result in results:
        ratio = results[0].seconds / results[0].size / (result.seconds / result.size)
        times = (f"{result.size / 1e6:.1f}", f"{result.seconds:.1f}", f"{result.cpu_seconds:.1f}")
        memory = (f"{result.private / 2**20:,.0f}", f"{result.total / 2**20:,.0f}")
        speed = (f"{result.size / result.seconds / 1e6:.2f}", f"{ratio:.0%}")
        table.add_row(result.name, *times, *speed, *memory, result.digest[:12])
    Console(width=150).print(table)
    if args.reading:
        bench_reading.main(bench_reading.Args())


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
