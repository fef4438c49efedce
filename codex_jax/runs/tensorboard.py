"""Writes scalars for TensorBoard: an event file is a TFRecord file of Event messages (tensorboard/compat/proto)."""

import os
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from codex_jax.records.example import field, varint
from codex_jax.records.tfrecord import frame
from codex_jax.storage.journal import append_whole

# Numbers of the fields of Event, SessionLog, Summary and Summary.Value, and wire types of those that are not bytes.
FILE_VERSION, SUMMARY, SESSION_LOG = 3, 5, 7
SESSION_START = b"\x08\x01"  # status = START: TensorBoard drops events of this step and later ones in earlier files
VALUE, TAG = 1, 1
WALL_TIME, STEP, SIMPLE_VALUE = b"\x09", b"\x10", b"\x15"


def encode_event(step: int, content: bytes) -> bytes:
    """A record of the file."""
    return frame(WALL_TIME + struct.pack("<d", time.time()) + STEP + varint(step) + content)


def encode_scalars(values: Mapping[str, float]) -> bytes:
    """The content of an event with these values by tag."""
    messages = (
        field(VALUE, field(TAG, name.encode()) + SIMPLE_VALUE + struct.pack("<f", value))
        for name, value in values.items()
    )
    return field(SUMMARY, b"".join(messages))


class EventFile:
    """A new event file in a folder; every call of write is on the disk when it returns."""

    def __init__(self, folder: Path, purge_step: int | None) -> None:
        """purge_step: from this step on, TensorBoard drops the events in older files of the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns():020}.{os.uname().nodename}.{os.getpid()}"
        self._file = (folder / name).open("xb", buffering=0)
        append_whole(self._file, encode_event(0, field(FILE_VERSION, b"brain.Event:2")))
        if purge_step is not None:
            append_whole(self._file, encode_event(purge_step, field(SESSION_LOG, SESSION_START)))

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Adds scalars. OSError if that fails."""
        append_whole(self._file, encode_event(step, encode_scalars(values)))

    def close(self) -> None:
        """Closes the file."""
        self._file.close()
