"""Fixed-size records -> sharded TFRecords; every shard is written aside, synced and renamed."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from codex_jax.records.example import encode
from codex_jax.records.tfrecord import frame

Record = dict[str, np.ndarray]


def token_dtype(vocab_size: int) -> np.dtype:
    """Little-endian uint16, or uint32 above 65,535 tokens."""
    return np.dtype("<u2" if vocab_size <= 65_535 else "<u4")


def record_bytes(seq_len: int, dtype: np.dtype, masked: bool) -> int:
    """The size in a file of every record: all have the same."""
    record = {"tokens": np.zeros(seq_len + 1, np.int32)}
    if masked:
        record["loss_mask"] = np.zeros(seq_len + 1, np.uint8)
    return len(_framed(record, dtype))


def _framed(record: Record, dtype: np.dtype) -> bytes:
    features = {"tokens": record["tokens"].astype(dtype).tobytes()}
    if "loss_mask" in record:
        features["loss_mask"] = record["loss_mask"].astype(np.uint8).tobytes()
    return frame(encode(features))


def shard_name(name: str, split: str, shard: int, shards: int) -> str:
    """TFDS's file name of a shard."""
    return f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def write_shard(path: Path, records: Iterable[Record], dtype: np.dtype) -> tuple[int, str]:
    """Writes {"tokens": [seq_len + 1], "loss_mask": optional} records -> (number of records, SHA-256 of the file)."""
    temporary = path.with_name(path.name + ".tmp")
    digest, count = hashlib.sha256(), 0
    with temporary.open("wb") as file:
        for record in records:
            data = _framed(record, dtype)
            digest.update(data)
            file.write(data)
            count += 1
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)
    return count, digest.hexdigest()
