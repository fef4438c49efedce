from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboardX.proto import event_pb2
from tensorboardX.record_writer import RecordWriter  # an independent writer of the format

from codex_jax.records.tfrecord import frame, masked_crc, payload_crcs, stored_crcs


def test_frame_equals_an_independent_writer(tmp_path):
    path = str(tmp_path / "events")
    writer = RecordWriter(path)
    payload = event_pb2.Event(step=3).SerializeToString()
    writer.write(payload)
    writer.close()
    assert Path(path).read_bytes() == frame(payload)


def test_masked_crc():
    # CRC32C of nothing is 0, and of "123456789" 0xE3069283 (the check value of RFC 3720's polynomial).
    assert masked_crc(b"") == 0xA282EAD8
    assert masked_crc(b"123456789") == ((0xE3069283 >> 15 | (0xE3069283 & 0x7FFF) << 17) + 0xA282EAD8) % 2**32


@given(st.lists(st.binary(min_size=7, max_size=7), max_size=9))
def test_crcs_of_many_records_equal_those_of_each(payloads):
    records = np.array([list(frame(payload)) for payload in payloads], np.uint8).reshape(len(payloads), 23)
    expected = [masked_crc(payload) for payload in payloads]
    assert payload_crcs(records).tolist() == expected
    assert stored_crcs(records).tolist() == expected


@pytest.mark.parametrize("size", [0, 1, 200])
def test_the_length_of_a_record_comes_first(size):
    record = frame(bytes(size))
    assert record[:8] == size.to_bytes(8, "little")
    assert len(record) == 12 + size + 4
