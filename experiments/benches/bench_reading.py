"""Compares the speed of random reading (sequences per second) of codex_jax, grain and TensorFlow Datasets.

Run python experiments/benches/bench_reading.py. The extra `interop` installs grain and TensorFlow Datasets. All read
the same tokens in the same shuffled order, in batches, to int32 [batch, 2049]. codex_jax checks every CRC and computes
its permutation while reading. The others get a permutation computed in advance, and uncompressed ArrayRecord files.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from codex_jax import cli
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.example import encode
from codex_jax.records.manifest import write_manifest
from codex_jax.records.order import host_positions, record_indices
from codex_jax.records.writer import record_bytes, shard_name, write_blocks

SEQ_LEN = 2048
VOCAB = 50_281
DTYPE = np.dtype("<u2")
SEED = 0
# Random access needs groups of 1. Compression could only slow the readers down.
ARRAY_RECORD_OPTIONS = "group_size:1,uncompressed"

Reader = Callable[[int], np.ndarray]  # step -> int32 [batch, SEQ_LEN + 1]
Source = Any  # source[index] is a record, source.__getitems__(indices) a list of records
ToTokens = Callable[[Any], bytes]  # a source's record -> its tokens


@dataclass(frozen=True)
class Args:
    """Measures the readers in turns and prints the median of each."""

    records: int = 20_000  # sequences in the data set
    batch_size: int = 512
    batches: int = 20  # per measurement
    repeats: int = 5  # measurements per reader
    shards: int = 4


def codex_jax_reader(folder: Path, tokens: list[np.ndarray], args: Args) -> Reader:
    """codex_jax's RecordDataset over TFRecord."""
    for shard, rows in enumerate(tokens):
        with (folder / shard_name("bench", "train", shard, len(tokens))).open("wb") as file:
            write_blocks(file, [{"tokens": rows}], DTYPE)
    split = {"records": args.records, "shards": [len(rows) for rows in tokens], "documents": 0, "tokens": 0, "bytes": 0}
    manifest = {
        "name": "bench",
        "version": "1.0.0",
        "digest": "",
        "sources": [],
        "tokenizer": {"kind": "none", "sha256": "none", "vocab_size": VOCAB, "eot": 0},
        "seq_len": SEQ_LEN,
        "dtype": DTYPE.str,
        "record_bytes": record_bytes(SEQ_LEN, DTYPE, masked=False),
        "documents": 0,
        "bytes": 0,
        "splits": {"train": split},
        "dropped": {},
    }
    write_manifest(folder, manifest)
    data = open_dataset(folder)
    return lambda step: data.batch("train", SEED, step, args.batch_size)["tokens"]


def _write_array_records(paths: list[Path], tokens: list[np.ndarray], payload: Callable[[bytes], bytes]) -> None:
    from array_record.python.array_record_module import ArrayRecordWriter

    for path, rows in zip(paths, tokens, strict=True):
        writer = ArrayRecordWriter(str(path), ARRAY_RECORD_OPTIONS)
        for row in rows:
            writer.write(payload(row.tobytes()))
        writer.close()


def grain_source(folder: Path, tokens: list[np.ndarray]) -> tuple[Source, ToTokens]:
    """grain's ArrayRecordDataSource over records that are only tokens."""
    from grain.sources import ArrayRecordDataSource

    paths = [folder / f"tokens.array_record-{n:05d}-of-{len(tokens):05d}" for n in range(len(tokens))]
    _write_array_records(paths, tokens, lambda row: row)
    return ArrayRecordDataSource([str(path) for path in paths]), lambda record: record


def tfds_source(folder: Path, tokens: list[np.ndarray]) -> tuple[Source, ToTokens]:
    """tfds.data_source over Examples in ArrayRecord, parsed by TensorFlow Datasets."""
    import tensorflow_datasets as tfds

    names = [f"bench-train.array_record-{n:05d}-of-{len(tokens):05d}" for n in range(len(tokens))]
    _write_array_records([folder / name for name in names], tokens, lambda row: encode({"tokens": row}))
    template = tfds.core.ShardedFileTemplate(
        dataset_name="bench", data_dir=folder, split="train", filetype_suffix="array_record"
    )
    lengths = [len(rows) for rows in tokens]
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict({"tokens": tfds.features.Tensor(shape=(), dtype=np.object_)}),
        split_infos=[tfds.core.SplitInfo(name="train", shard_lengths=lengths, num_bytes=0, filename_template=template)],
        version="1.0.0",
        check_data=False,
    )
    return tfds.builder_from_directory(folder).as_data_source("train"), lambda example: example["tokens"]


def _batch(values: list[bytes]) -> np.ndarray:
    return np.frombuffer(b"".join(values), DTYPE).reshape(len(values), -1).astype(np.int32)


def make_readers(root: Path, args: Args) -> dict[str, Reader | None]:
    """Writes the data set in the format of each reader; None if a reader's package is not installed."""
    rng = np.random.default_rng(SEED)
    tokens = np.array_split(rng.integers(0, VOCAB, (args.records, SEQ_LEN + 1)).astype(DTYPE), args.shards)
    steps = (args.repeats + 1) * args.batches
    positions = (host_positions(step, args.batch_size, 0, 1) for step in range(steps))
    orders = [record_indices(rows, args.records, SEED).tolist() for rows in positions]
    (root / "codex_jax").mkdir()
    readers: dict[str, Reader | None] = {"codex_jax": codex_jax_reader(root / "codex_jax", tokens, args)}
    for name, make in (("grain ArrayRecordDataSource", grain_source), ("tfds.data_source", tfds_source)):
        (root / make.__name__).mkdir()
        try:
            source, to_tokens = make(root / make.__name__, tokens)
        except ImportError:
            readers[name] = None
            continue
        readers[f"{name}, by batch"] = lambda step, source=source, to_tokens=to_tokens: _batch(
            [to_tokens(record) for record in source.__getitems__(orders[step])]
        )
        readers[f"{name}, one by one"] = lambda step, source=source, to_tokens=to_tokens: _batch(
            [to_tokens(source[index]) for index in orders[step]]
        )
    return readers


def measure(readers: dict[str, Reader], args: Args) -> dict[str, float]:
    """The median sequences per second of each reader. They take turns, so that other load affects all alike."""
    speeds: dict[str, list[float]] = {name: [] for name in readers}
    for repeat in range(args.repeats + 1):
        steps = range(repeat * args.batches, (repeat + 1) * args.batches)
        for name, read in readers.items():
            began = time.perf_counter()
            for step in steps:
                batch = read(step)
            seconds = time.perf_counter() - began
            assert batch.shape == (args.batch_size, SEQ_LEN + 1)
            if repeat:  # the first round warms up
                speeds[name].append(args.batch_size * args.batches / seconds)
    return {name: statistics.median(values) for name, values in speeds.items()}


def main(args: Args) -> None:
    """The command."""
    for field, minimum in (("records", args.shards), ("batch_size", 1), ("batches", 1), ("repeats", 1), ("shards", 1)):
        if getattr(args, field) < minimum:
            raise InputError(f"--{field.replace('_', '-')} must be at least {minimum}, not {getattr(args, field)}")
    with tempfile.TemporaryDirectory() as root:
        readers = make_readers(Path(root), args)
        installed = {name: read for name, read in readers.items() if read}
        assert len({read(0).tobytes() for read in installed.values()}) == 1
        speeds = measure(installed, args)
    title = (
        f"{args.records:,} sequences of {SEQ_LEN + 1:,} tokens, batches of {args.batch_size}, median of {args.repeats}"
    )
    table = Table("reader", title=title)
    table.add_column("sequences/s", justify="right")
    table.add_column("codex_jax is faster by", justify="right")
    for name in readers:
        if name in speeds:
            table.add_row(name, f"{speeds[name]:,.0f}", f"{speeds['codex_jax'] / speeds[name]:.1f}x")
        else:
            table.add_row(name, "not installed", "")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
