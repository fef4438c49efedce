import json

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.writer import shard_name, token_dtype, write_shard
from codex_jax.text.packing import pack_stream, pack_whole


def build(folder, counts=(13, 0, 10), seq_len=8):
    folder.mkdir(parents=True)
    number, size = 0, 0
    for shard, count in enumerate(counts):
        rows = []
        for _ in range(count):
            rows.append({"tokens": np.full(seq_len + 1, number), "loss_mask": np.arange(seq_len + 1) % 2})
            number += 1
        path = folder / shard_name("d", "train", shard, len(counts))
        write_shard(path, rows, token_dtype(500))
        size = path.stat().st_size // count if count else size
    manifest = {
        "name": "d",
        "seq_len": seq_len,
        "dtype": "<u2",
        "record_bytes": size,
        "tokenizer": {"eot": 0},
        "splits": {"train": {"records": number, "shards": list(counts)}},
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
    with pytest.raises(InputError, match="no data set"):
        open_dataset(tmp_path / "none")


def test_stream_predicts_every_target_once():
    documents = [[5, 6, 7], [8], [9] * 11]
    records = list(pack_stream(documents, 4, 0))
    flat = [0, 5, 6, 7, 0, 8, 0, *[9] * 11, 0]
    targets = [token for record in records for token in record[1:].tolist()]
    assert targets[: len(flat) - 1] == flat[1:]
    assert not any(targets[len(flat) - 1 :])
    assert [int(a[-1]) for a in records[:-1]] == [int(b[0]) for b in records[1:]]


def test_whole_pairs_are_never_cut_and_only_completions_count():
    pairs = [([5, 6], [7]), ([8], [9, 9]), ([1], [2, 3, 4, 5, 6, 7])]
    records = list(pack_whole(pairs, 9, 0))
    assert records[0][0].tolist() == [0, 5, 6, 7, 0, 8, 9, 9, 0, 0]
    assert records[0][1].tolist() == [0, 0, 0, 1, 1, 0, 1, 1, 1, 0]
    assert records[1][0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 0]
    with pytest.raises(ValueError, match="do not fit"):
        list(pack_whole([([1] * 5, [2] * 4)], 9, 0))


def test_bad_batches(tmp_path):
    build(tmp_path / "d" / "1.0.0", counts=(0,))
    data = open_dataset(tmp_path / "d")
    for split, size, message in (("train", 4, "no records"), ("nope", 4, "no split"), ("train", 0, "does not divide")):
        with pytest.raises(InputError, match=message):
            data.batch(split, 0, 0, size)
    assert list(data.sequential("train", 4)) == []
