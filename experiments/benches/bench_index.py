"""Measures the memory and disk space per document that planning a corpus takes, in bytes.

python experiments/benches/bench_index.py finds candidates for near copies, and plans shards, for a million random rows.
"""

import sys
import tempfile
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codex_jax import cli
from codex_jax.corpus_build.duplicates import comparisons, first_copies
from codex_jax.corpus_build.executors import LocalExecutor
from codex_jax.corpus_build.intermediates import COMPARED, ROW, TOKEN_ROW
from codex_jax.corpus_build.phases import Build
from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.storage.remote_files import LocalFolder
from codex_jax.text.dedupe import BANDS
from codex_jax.text.splits import fill
from codex_jax.text.tokenizers import P50k

PAIRS = 2.6  # comparisons per document, as MinHash proposes for installed packages


@dataclass(frozen=True)
class Args:
    """Prints bytes per document."""

    files: int = 1_000_000  # documents


def random_rows(dtype: np.dtype, count: int) -> np.ndarray:
    """Rows with random keys and contents; a repository has about 30 documents."""
    rng = np.random.default_rng(0)
    rows = np.zeros(count, dtype)
    for name in {"key_high", "key_low", "content_high", "content_low"} & set(dtype.names or ()):
        rows[name] = rng.integers(0, 2**64, count, dtype=np.uint64)
    rows["repo"] = rng.integers(0, max(count // 30, 1), count).astype(np.uint64) << np.uint64(40)
    rows["text"] = 1500
    return rows


def peak(run: Callable[[], Any]) -> int:
    """The peak number of bytes that run() allocates."""
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def main(args: Args) -> None:
    """The command."""
    if args.files < 1000:
        raise InputError("--files must be at least 1000")
    rows = random_rows(ROW, args.files)
    rng = np.random.default_rng(1)
    # With this number of values per band, the bands together propose PAIRS comparisons per document.
    values = int(args.files * BANDS / (2 * PAIRS))

    def find_candidates() -> None:
        keep = first_copies(rows)
        earlier, _ = comparisons(rows, keep, BANDS, lambda _: rng.integers(0, values, args.files, dtype=np.uint64))
        assert 0.9 * PAIRS < len(earlier) / args.files < 1.1 * PAIRS

    comparing = ROW.itemsize + peak(find_candidates) / args.files
    tokens = random_rows(TOKEN_ROW, args.files)
    repos, counts = np.unique(tokens["repo"], return_counts=True)
    boundaries = fill(repos, counts * 1500, {}, 0)
    settings = Settings(sources=("stdlib",), tokenizer="p50k")
    with tempfile.TemporaryDirectory() as folder:
        build = Build(settings, LocalFolder(Path(folder)), "x", LocalExecutor(1))
        planning = TOKEN_ROW.itemsize + peak(lambda: build.plan(tokens, boundaries, P50k())) / args.files
        build.executor.shutdown()
    # Rows and bands are on disk throughout, together with the largest of the other tables.
    lasting = ROW.itemsize + 8 * BANDS
    disk = lasting + max(COMPARED.itemsize * 2 * PAIRS, ROW.itemsize + TOKEN_ROW.itemsize, 2 * TOKEN_ROW.itemsize)
    print(f"memory: {comparing:.0f} bytes for each document while copies are found, {planning:.0f} to plan the shards")
    print(f"disk:   {disk:.0f} bytes of tables for each document during the build")
    memory = 30e6 * max(comparing, planning) / 1e9
    print(f"30 million documents: {memory:.1f} GB of memory, {30e6 * disk / 1e9:.1f} GB of disk")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
