from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import RecordWriter  # an independent writer of the format

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
