import json

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.writer import record_bytes, shard_name, token_dtype, write_shard


def build(folder, counts=(13, 0, 10), seq_len=8):
    folder.mkdir(parents=True)
    number, size = 0, record_bytes(seq_len, token_dtype(500), masked=True)
    for shard, count in enumerate(counts):
        rows = []
        for _ in range(count):
            rows.append({"tokens": np.full(seq_len + 1, number), "loss_mask": np.arange(seq_len + 1) % 2})
            number += 1
        path = folder / shard_name("d", "train", shard, len(counts))
        write_shard(path, rows, token_dtype(500))
        assert path.stat().st_size == count * size
    manifest = {
        "name": "d",
        "seq_len": seq_len,
        "dtype": "<u2",
        "record_bytes": size,
        "tokenizer": {"eot": 0, "sha256": "x", "vocab_size": 500},
        "splits": {"train": {"records": number, "shards": list(counts), "bytes": 0}},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))


def test_batches_cover_each_epoch_once_on_any_number_of_hosts(tmp_path):
    build(tmp_path / "d" / "1.0.0")
    data = open_dataset(tmp_path / "d")
    whole = [data.batch("train", 5, step, 4)["tokens"] for step in range(23)]
    seen = np.concatenate(whole)[:, 0]
    for epoch in range(4):
        assert sorted(seen[epoch * 23 : (epoch + 1) * 23]) == list(range(23))
    for hosts in (2, 4):
        parts = [data.batch("train", 5, 7, 4, host, hosts)["tokens"] for host in range(hosts)]
        assert np.array_equal(np.concatenate(parts), whole[7])
    assert data.batch("train", 5, 0, 4)["loss_mask"].dtype == np.uint8


def test_sequential_pads_the_last_batch(tmp_path):
    build(tmp_path / "d" / "1.0.0")
    batches = list(open_dataset(tmp_path / "d").sequential("train", 10))
    assert [b["tokens"].shape for b in batches] == [(10, 9)] * 3
    assert np.concatenate([b["tokens"] for b in batches])[:, 0].tolist() == [*range(23), *[0] * 7]
    assert not batches[-1]["loss_mask"][3:].any()


def test_damage_is_caught(tmp_path):
    build(tmp_path / "d" / "1.0.0")
    shard = tmp_path / "d" / "1.0.0" / shard_name("d", "train", 2, 3)
    whole = shard.read_bytes()
    shard.write_bytes(whole[: len(whole) // 10 * 9])  # at a record boundary
    with pytest.raises(InputError, match="bytes and not"):
        open_dataset(tmp_path / "d")
    shard.write_bytes(whole[:50] + bytes([whole[50] ^ 1]) + whole[51:])
    with pytest.raises(InputError, match="corrupt"):
        list(open_dataset(tmp_path / "d").sequential("train", 23))
    shard.unlink()
    with pytest.raises(InputError, match="missing"):
        open_dataset(tmp_path / "d")
    manifest = tmp_path / "d" / "1.0.0" / "manifest.json"
    for text in ("", "[]", "{}", manifest.read_text().replace("23", "24", 1)):
        manifest.write_text(text)
        with pytest.raises(InputError, match="broken"):
            open_dataset(tmp_path / "d")
    with pytest.raises(InputError, match="no data set"):
        open_dataset(tmp_path / "none")


def test_bad_batches(tmp_path):
    build(tmp_path / "d" / "1.0.0", counts=(0,))
    data = open_dataset(tmp_path / "d")
    for split, size, message in (("train", 4, "no records"), ("nope", 4, "no split"), ("train", 0, "does not divide")):
        with pytest.raises(InputError, match=message):
            data.batch(split, 0, 0, size)
    assert list(data.sequential("train", 4)) == []
