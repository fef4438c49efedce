"""Builds small data sets in the layout of codex_jax.corpus."""

import json

import numpy as np

from codex_jax.records.example import encode
from codex_jax.records.manifest import digest
from codex_jax.records.tfrecord import frame
from codex_jax.records.writer import shard_name


def build(folder, counts=(13, 0, 10), seq_len=8, masked=True, first=0, sha256="x", vocab_size=500, dtype="<u2"):
    """Record n of split train is the token first + n, seq_len + 1 times. Split empty has no records."""
    folder.mkdir(parents=True)
    number, size = first, 0
    for shard, count in enumerate(counts):
        records = []
        for _ in range(max(count, 1)):
            record = {"tokens": np.full(seq_len + 1, number, dtype).tobytes()}
            if masked:
                record["loss_mask"] = (np.arange(seq_len + 1) % 2).astype(np.uint8).tobytes()
            records.append(frame(encode(record)))
            size = len(records[-1])
            number += 1
        number -= count == 0
        (folder / shard_name("d", "train", shard, len(counts))).write_bytes(b"".join(records[:count]))
    (folder / shard_name("d", "empty", 0, 1)).write_bytes(b"")
    manifest = {
        "name": "d",
        "digest": digest(sha256, seq_len, [str((first, counts, masked, dtype))]),
        "seq_len": seq_len,
        "dtype": dtype,
        "record_bytes": size,
        "tokenizer": {"eot": 0, "sha256": sha256, "vocab_size": vocab_size},
        "splits": {
            "train": {"records": sum(counts), "shards": list(counts), "bytes": 20 * sum(counts)},
            "empty": {"records": 0, "shards": [0], "bytes": 0},
        },
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
