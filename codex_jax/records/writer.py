"""Fixed-size records -> sharded TFRecords; every shard is written aside, synced and renamed."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from codex_jax.records.example import layout
from codex_jax.records.tfrecord import FOOTER_BYTES, HEADER_BYTES, frame, payload_crcs

Block = dict[str, np.ndarray]


def token_dtype(vocab_size: int) -> np.dtype:
    """Little-endian uint16, or uint32 above 65,535 tokens."""
    return np.dtype("<u2" if vocab_size <= 65_535 else "<u4")


def record_bytes(seq_len: int, dtype: np.dtype, masked: bool) -> int:
    """The size in a file of every record: all have the same."""
    block = {"tokens": np.zeros((1, seq_len + 1), np.int32)}
    if masked:
        block["loss_mask"] = np.zeros((1, seq_len + 1), np.uint8)
    return framed(block, dtype).shape[1]


def framed(block: Block, dtype: np.dtype) -> np.ndarray:
    """{"tokens": int [N, seq_len + 1], "loss_mask": optional} -> uint8 [N, record_bytes]: whole TFRecords."""
    values = {"tokens": np.ascontiguousarray(block["tokens"], dtype).view(np.uint8)}
    if "loss_mask" in block:
        values["loss_mask"] = np.ascontiguousarray(block["loss_mask"], np.uint8)
    payload, places = layout({name: value.shape[1] for name, value in values.items()})
    out = np.tile(np.frombuffer(frame(payload), np.uint8), (len(block["tokens"]), 1))
    inner = out[:, HEADER_BYTES:-FOOTER_BYTES]
    for name, place in places.items():
        inner[:, place] = values[name]
    out[:, -FOOTER_BYTES:] = payload_crcs(out).astype("<u4").view(np.uint8).reshape(-1, FOOTER_BYTES)
    return out


def shard_name(name: str, split: str, shard: int, shards: int) -> str:
    """TFDS's file name of a shard."""
    return f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def write_blocks(file: BinaryIO, blocks: Iterable[Block], dtype: np.dtype) -> tuple[int, str]:
    """Writes blocks of records to an open file -> (number of records, SHA-256 of what was written)."""
    digest, count = hashlib.sha256(), 0
    for block in blocks:
        data = framed(block, dtype).reshape(-1).data
        digest.update(data)
        file.write(data)
        count += len(block["tokens"])
    return count, digest.hexdigest()


def write_shard(path: Path, blocks: Iterable[Block], dtype: np.dtype) -> tuple[int, str]:
    """Writes a shard, whole or not at all -> (number of records, SHA-256 of the file); OSError where it cannot."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            written = write_blocks(file, blocks, dtype)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
    return written
