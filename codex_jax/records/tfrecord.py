"""TFRecord framing: length, its CRC, payload, its CRC; the CRCs are masked CRC32C (TensorFlow's format)."""

import struct

import google_crc32c
import numpy as np

HEADER_BYTES, FOOTER_BYTES = 12, 4
MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """CRC32C rotated right by 15 bits plus a constant, as TFRecord stores it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """The payload as one record."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc(length)) + payload + struct.pack("<I", masked_crc(payload))


def unframe(record: bytes) -> bytes:
    """The payload of one whole record; ValueError where a length or CRC is wrong."""
    if len(record) < HEADER_BYTES + FOOTER_BYTES:
        raise ValueError("record is cut short")
    length, length_crc = struct.unpack_from("<QI", record)
    if masked_crc(record[:8]) != length_crc or length != len(record) - HEADER_BYTES - FOOTER_BYTES:
        raise ValueError("record length is corrupt")
    payload = record[HEADER_BYTES:-FOOTER_BYTES]
    if masked_crc(payload) != struct.unpack("<I", record[-FOOTER_BYTES:])[0]:
        raise ValueError("record payload is corrupt")
    return payload


def payload_crcs(records: np.ndarray) -> np.ndarray:
    """uint8 [N, bytes] of whole records of one length -> uint32 [N]: the masked CRC that each payload calls for."""
    payloads = records[:, HEADER_BYTES:-FOOTER_BYTES]
    # Each row is handed over in place: a copy would take as long as its CRC.
    crcs = np.fromiter(map(google_crc32c.value, payloads), np.uint32, len(records))
    return (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(MASK_DELTA)


def stored_crcs(records: np.ndarray) -> np.ndarray:
    """uint8 [N, bytes] of whole records -> uint32 [N]: the masked CRC that each has of its payload."""
    return np.ascontiguousarray(records[:, -FOOTER_BYTES:]).view("<u4")[:, 0]
