"""Writes records of a fixed size to TFRecord shards."""

import hashlib
from collections.abc import Iterable
from typing import BinaryIO

import numpy as np

from codex_jax.records.example import layout
from codex_jax.records.tfrecord import FOOTER_BYTES, HEADER_BYTES, frame, payload_crcs

Block = dict[str, np.ndarray]  # "tokens": int [N, seq_len + 1]; optionally "loss_mask": [N, seq_len + 1]


def token_dtype(vocab_size: int) -> np.dtype:
    """The dtype of stored tokens: little-endian uint16, or uint32 if the vocabulary has more than 65,535 tokens."""
    return np.dtype("<u2" if vocab_size <= 65_535 else "<u4")


def record_bytes(seq_len: int, dtype: np.dtype, masked: bool) -> int:
    """The size of every record in a file, with its framing. masked: whether records have a loss_mask."""
    names = ("tokens", "loss_mask") if masked else ("tokens",)
    return frame_block(dict.fromkeys(names, np.zeros((1, seq_len + 1), np.int32)), dtype).shape[1]


def frame_block(block: Block, dtype: np.dtype) -> np.ndarray:
    """The records of a block as complete TFRecords, uint8 [N, record bytes]. dtype: see token_dtype."""
    values = {"tokens": np.ascontiguousarray(block["tokens"], dtype).view(np.uint8)}
    if "loss_mask" in block:
        values["loss_mask"] = np.ascontiguousarray(block["loss_mask"], np.uint8)
    payload, positions = layout({name: value.shape[1] for name, value in values.items()})
    records = np.tile(np.frombuffer(frame(payload), np.uint8), (len(block["tokens"]), 1))
    payloads = records[:, HEADER_BYTES:-FOOTER_BYTES]
    for name, position in positions.items():
        payloads[:, position] = values[name]
    records[:, -FOOTER_BYTES:] = payload_crcs(records).astype("<u4").view(np.uint8).reshape(-1, FOOTER_BYTES)
    return records


def shard_name(name: str, split: str, shard: int, shards: int) -> str:
    """The file name of a shard, as in TensorFlow Datasets."""
    return f"{name}-{split}.tfrecord-{shard:05d}-of-{shards:05d}"


def write_blocks(file: BinaryIO, blocks: Iterable[Block], dtype: np.dtype) -> tuple[int, str]:
    """Writes blocks of records to an open file. Returns (number of records, SHA-256 of the bytes written)."""
    sha256, count = hashlib.sha256(), 0
    for block in blocks:
        data = frame_block(block, dtype).reshape(-1).data
        sha256.update(data)
        file.write(data)
        count += len(block["tokens"])
    return count, sha256.hexdigest()
