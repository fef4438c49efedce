from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import RecordWriter  # an independent writer of the format

from codex_jax.records.example import decode, encode, layout
from codex_jax.records.order import _window, permute, record_indices
from codex_jax.records.tfrecord import frame, masked_crc, unframe


@given(st.binary(max_size=300))
def test_unframe_inverts_frame(payload):
    assert unframe(frame(payload)) == payload


def test_frame_equals_an_independent_writer(tmp_path):
    path = str(tmp_path / "events")
    writer = RecordWriter(path)
    payload = event_pb2.Event(step=3).SerializeToString()
    writer.write(payload)
    writer.close()
    assert Path(path).read_bytes() == frame(payload)
    assert masked_crc(b"") == 0xA282EAD8


def test_a_flipped_bit_is_detected():
    record = frame(b"some tokens")
    for bit in range(len(record) * 8):
        broken = bytearray(record)
        broken[bit // 8] ^= 1 << bit % 8
        with pytest.raises(ValueError, match="corrupt"):
            unframe(bytes(broken))
    with pytest.raises(ValueError, match="corrupt"):
        unframe(record[:-1])


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(max_size=300), min_size=1, max_size=3))
def test_decode_inverts_encode(features):
    assert decode(encode(features)) == features


@given(st.dictionaries(st.text(min_size=1, max_size=8), st.binary(max_size=300), min_size=1, max_size=3))
def test_layout_gives_the_position_of_each_value(features):
    blank, positions = layout({name: len(value) for name, value in features.items()})
    filled = bytearray(blank)
    for name, value in features.items():
        filled[positions[name]] = value
    assert bytes(filled) == encode(features)


@pytest.mark.parametrize("size", [1, 2, 3, 10, 1000, 4097])
def test_each_seed_and_epoch_has_its_own_permutation(size):
    orders = [permute(np.arange(size), size, seed, epoch) for seed, epoch in ((0, 0), (0, 1), (1, 0))]
    for order in orders:
        assert sorted(order) == list(range(size))
    if size >= 1000:
        assert all((a != b).mean() > 0.9 for a, b in ((orders[0], orders[1]), (orders[0], orders[2])))
        # The mean displacement of a random permutation is size / 3.
        assert abs(np.abs(orders[0] - np.arange(size)).mean() / size - 1 / 3) < 0.03


def test_any_part_of_the_stream_is_computed_alike():
    whole = record_indices(np.arange(50), 7, 3)
    pieces = np.split(np.arange(50), [9, 39])
    assert np.array_equal(np.concatenate([record_indices(piece, 7, 3) for piece in pieces]), whole)
    shuffled = np.random.default_rng(0).permutation(50)
    assert np.array_equal(record_indices(shuffled, 7, 3), whole[shuffled])
    assert sorted(whole[7:14]) == list(range(7))


def test_an_epoch_of_several_windows_is_one_permutation(monkeypatch):
    whole = permute(np.arange(1000), 1000, 3, 2)
    monkeypatch.setattr("codex_jax.records.order.WINDOW", 64)
    _window.cache_clear()
    assert np.array_equal(record_indices(np.arange(2000, 3000), 1000, 3), whole)
    _window.cache_clear()
