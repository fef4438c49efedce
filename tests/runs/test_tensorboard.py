import struct

import pytest
from tensorboardX.proto import event_pb2  # an independent definition of the messages

from codex_jax.runs.tensorboard import EventFile


def read(path):
    """The events of a file, without a check of their checksums."""
    data, events = path.read_bytes(), []
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        events.append(event_pb2.Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    return events


def test_scalars_are_those_that_were_written(tmp_path):
    file = EventFile(tmp_path / "events", None)
    file.write(7, {"loss": 2.5, "gradient_norm": -1e-9})
    file.write(300, {"loss": float("nan")})
    (path,) = (tmp_path / "events").iterdir()
    version, first, second = read(path)  # although the file is open
    file.close()
    assert version.file_version == "brain.Event:2"
    assert first.step == 7
    assert {value.tag: value.simple_value for value in first.summary.value} == pytest.approx(
        {"loss": 2.5, "gradient_norm": -1e-9}
    )
    assert second.step == 300
    assert second.wall_time >= first.wall_time > 1e9


def test_a_resumed_run_drops_later_events_of_older_files(tmp_path):
    EventFile(tmp_path, None).close()
    EventFile(tmp_path, 42).close()
    old, new = sorted(tmp_path.iterdir())
    assert len(read(old)) == 1
    assert read(new)[1].session_log.status == event_pb2.SessionLog.START
    assert read(new)[1].step == 42
