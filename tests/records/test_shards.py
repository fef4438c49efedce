import itertools
import mmap
import resource
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.example import encode
from codex_jax.records.tfrecord import frame
from codex_jax.records.writer import shard_name
from tests.records.build import build


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return open_dataset(build(tmp_path_factory.mktemp("data") / "d"))


def test_each_epoch_contains_every_record_once(data):
    seen = np.concatenate([data.batch("train", 5, step, 4)["tokens"] for step in range(23)])[:, 0]
    epochs = seen.reshape(4, 23)
    assert all(sorted(epoch) == list(range(23)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


@settings(deadline=None)
@given(st.integers(0, 2**31), st.integers(0, 10**9), st.integers(1, 5))
def test_global_batches_are_the_same_on_any_number_of_hosts(data, seed, step, eighths):
    whole = data.batch("train", seed, step, 8 * eighths)
    assert (whole["tokens"].dtype, whole["tokens"].shape) == (np.int32, (8 * eighths, 9))
    for hosts in (2, 4, 8):
        parts = [data.batch("train", seed, step, 8 * eighths, host, hosts) for host in range(hosts)]
        for name in whole:
            assert np.array_equal(np.concatenate([part[name] for part in parts]), whole[name])


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(1, 40))
def test_the_stream_does_not_depend_on_the_batch_size(data, step, batch_size):
    rows = [data.batch("train", 7, row, 1)["tokens"] for row in range(step * batch_size, (step + 1) * batch_size)]
    assert np.array_equal(data.batch("train", 7, step, batch_size)["tokens"], np.concatenate(rows))


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
@pytest.mark.parametrize("masked", [True, False])
def test_records_are_read_in_every_format(tmp_path, dtype, masked):
    data = open_dataset(build(tmp_path / "d", first=60_000, dtype=dtype, masked=masked))
    batch = data.records("train", np.array([22, 0, 13, 0]))
    assert batch["tokens"].tolist() == [[60_000 + n] * 9 for n in (22, 0, 13, 0)]
    assert data.masked == masked == ("loss_mask" in batch)
    if masked:
        assert batch["loss_mask"].dtype == np.uint8
        assert batch["loss_mask"].tolist() == [[0, 1] * 4 + [0]] * 4
    assert len(data.records("train", np.array([], np.int64))["tokens"]) == 0


def test_sequential_pads_the_last_batch(data):
    batches = list(data.sequential("train", 10))
    assert [b["tokens"].shape for b in batches] == [(10, 9)] * 3
    assert np.concatenate([b["tokens"] for b in batches])[:, 0].tolist() == [*range(23), *[0] * 7]
    assert not batches[-1]["loss_mask"][3:].any()
    assert list(data.sequential("empty", 4)) == []
    # The second host's part of the last batch is all padding.
    for step, pair in enumerate(zip(*(data.sequential("train", 10, host, 2) for host in (0, 1)), strict=True)):
        for name in batches[step]:
            assert np.array_equal(np.concatenate([part[name] for part in pair]), batches[step][name])


def test_a_flipped_bit_in_any_byte_is_reported_with_its_record(tmp_path):
    folder = build(tmp_path / "d", counts=(2, 3), seq_len=2)
    shard = folder / shard_name("d", "train", 1, 2)
    whole = shard.read_bytes()
    size = len(whole) // 3
    for byte in range(size):
        broken = bytearray(whole)
        broken[size + byte] ^= 1 << byte % 8
        shard.write_bytes(broken)
        part = "payload" if byte >= 12 else "length"
        data = open_dataset(folder)
        with pytest.raises(InputError, match=f"train record 3: its {part} is corrupt"):
            data.records("train", np.arange(5))
        assert len(data.records("train", np.array([0, 1, 2, 4]))["tokens"]) == 4


def test_valid_records_with_other_fields_are_refused(tmp_path):
    folder = build(tmp_path / "d", counts=(1,), seq_len=2, masked=False)
    shard = folder / shard_name("d", "train", 0, 1)
    shard.write_bytes(frame(encode({"tokenz": bytes(6)})))
    with pytest.raises(InputError, match="record 0: its fields do not match the manifest"):
        open_dataset(folder).batch("train", 0, 0, 1)


def test_missing_truncated_and_unknown_shards_are_refused_on_opening(tmp_path):
    folder = build(tmp_path / "d")
    shard = folder / shard_name("d", "train", 2, 3)
    whole = shard.read_bytes()
    for cut in (whole[: len(whole) // 10 * 9], whole[:-1], b"", whole + whole[: len(whole) // 10]):
        shard.write_bytes(cut)
        with pytest.raises(InputError, match=r"00002-of-00003 is \d+ bytes instead of \d+"):
            open_dataset(folder)
    shard.unlink()
    with pytest.raises(InputError, match="00002-of-00003 is missing"):
        open_dataset(folder)
    shard.write_bytes(whole)
    for name in (shard_name("d", "train", 4, 8), shard_name("d", "other", 0, 1)):
        (folder / name).write_bytes(whole)
        with pytest.raises(InputError, match=f"not in its manifest: remove {name}"):
            open_dataset(folder)
        (folder / name).unlink()
    names = [shard_name("d", "train", shard, 8) for shard in range(5)]
    for name in names[:4]:
        (folder / name).touch()
    with pytest.raises(InputError, match=f"remove {', '.join(names[:3])} and 1 more$"):
        open_dataset(folder)
    (folder / names[3]).unlink()
    with pytest.raises(InputError, match=f"remove {', '.join(names[:3])}$"):
        open_dataset(folder)
    for name in names[:3]:
        (folder / name).unlink()
    (folder / "d-train.tfrecord-notes").write_text("not a shard")
    assert open_dataset(folder).size("train") == 23


def test_bad_requests_are_refused(data):
    for split, size, hosts, message in (
        ("empty", 4, 1, "no records"),
        ("nope", 4, 1, "no split 'nope': it has train, empty"),
        ("train", 0, 1, "does not divide"),
        ("train", 4, 3, "does not divide over 3 hosts"),
    ):
        with pytest.raises(InputError, match=message):
            data.batch(split, 0, 0, size, 0, hosts)


def test_rows_that_are_not_in_memory_are_requested_from_the_disk_at_once(tmp_path, monkeypatch):
    requested = []

    class RecordingMap(mmap.mmap):
        def madvise(self, option, start, length):
            requested.append((option, start, length))
            super().madvise(option, start, length)

    monkeypatch.setattr(mmap, "mmap", RecordingMap)
    data = open_dataset(build(tmp_path / "d", counts=(600,), seq_len=64))
    index = np.random.default_rng(0).permutation(600)[:100]
    assert data.records("train", index)["tokens"][:, 0].tolist() == index.tolist()
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_majflt=0))
    requested.clear()
    data.records("train", index)
    assert requested == []
    # Each call reports one more page fault, as if the first rows came from disk.
    page_faults = itertools.count()
    monkeypatch.setattr(resource, "getrusage", lambda _: SimpleNamespace(ru_majflt=next(page_faults)))
    assert data.records("train", index)["tokens"][:, 0].tolist() == index.tolist()
    size = data.manifest["record_bytes"]
    assert len(requested) == 92  # all rows but the first 8, which are already read
    for row, (option, start, length) in zip(index[8:].tolist(), requested, strict=True):
        assert (option, start % mmap.PAGESIZE) == (mmap.MADV_WILLNEED, 0)
        assert row * size - mmap.PAGESIZE < start <= row * size
        assert start + length == (row + 1) * size
