"""python experiments/benches/bench_index.py: what planning a corpus costs a file, in bytes of memory and on disk.

A million made-up files go through what the local engine does between its stages: finding copies, and planning shards.
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
from codex_jax.corpus_build.duplicates import first_copies, near_copies
from codex_jax.corpus_build.intermediates import ROW, TOKEN_ROW
from codex_jax.corpus_build.local import Engine
from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.text.dedupe import BANDS
from codex_jax.text.splits import fill
from codex_jax.text.tokenizers import P50k


@dataclass(frozen=True)
class Args:
    """Prints bytes a file."""

    files: int = 1_000_000
    bands: int = 3  # of those that are compared one after the other: one at a time is in memory


def made(dtype: np.dtype, count: int) -> np.ndarray:
    """Rows with random keys and contents; a repository has about 30 files."""
    rng = np.random.default_rng(0)
    rows = np.zeros(count, dtype)
    for name in {"key_high", "key_low", "content_high", "content_low"} & set(dtype.names or ()):
        rows[name] = rng.integers(0, 2**64, count, dtype=np.uint64)
    rows["repo"] = rng.integers(0, max(count // 30, 1), count).astype(np.uint64) << np.uint64(40)
    rows["text"] = 1500
    return rows


def peak(run: Callable[[], Any]) -> int:
    """Bytes that run() had at most beyond what there was."""
    tracemalloc.start()
    run()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


class Unwritten(Engine):
    """The engine with the writing itself left out."""

    def each(self, label: str, calls: list[Any]) -> Any:
        """As if each shard had been written."""
        del label
        return iter([{"records": 1, "sha256": ""} for _ in calls])


def main(args: Args) -> None:
    """The command."""
    if args.files < 1000 or not 1 <= args.bands <= BANDS:
        raise InputError(f"--files must be at least 1000, and --bands from 1 to {BANDS}")
    rows = made(ROW, args.files)
    rng = np.random.default_rng(1)

    def compare() -> None:
        keep = first_copies(rows)
        band = lambda _: rng.integers(0, 2**40, args.files, dtype=np.uint64)  # noqa: E731
        near_copies(rows, keep, args.bands, band, lambda pairs: np.zeros(len(pairs), bool))

    comparing = ROW.itemsize + peak(compare) / args.files
    tokens = made(TOKEN_ROW, args.files)
    repos, counts = np.unique(tokens["repo"], return_counts=True)
    ends = fill(repos, counts * 1500, {}, 0)
    with tempfile.TemporaryDirectory() as folder:
        engine = Unwritten(Settings(sources=("stdlib",), tokenizer="p50k"), Path(folder), "x", 1, None)
        planning = TOKEN_ROW.itemsize + peak(lambda: engine.write(tokens, ends, P50k())) / args.files
        engine.pool.shutdown()
    disk = ROW.itemsize + 8 * BANDS + TOKEN_ROW.itemsize
    print(f"memory: {comparing:.0f} bytes a file while copies are found, {planning:.0f} while shards are planned")
    print(f"disk:   {disk} bytes a file of indices while it is built")
    memory = 30e6 * max(comparing, planning) / 1e9
    print(f"so 30 million files: {memory:.1f} GB of memory, {30e6 * disk / 1e9:.1f} GB of disk")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
