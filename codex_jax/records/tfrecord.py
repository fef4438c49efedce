"""TFRecord framing, as TensorFlow defines it: length, CRC of the length, payload, CRC of the payload."""

import struct

import google_crc32c
import numpy as np

HEADER_BYTES, FOOTER_BYTES = 12, 4
MASK_DELTA = 0xA282EAD8


def masked_crc(data: bytes) -> int:
    """TFRecord's checksum: CRC32C rotated right by 15 bits, plus a constant."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + MASK_DELTA) & 0xFFFFFFFF


def frame(payload: bytes) -> bytes:
    """The record with this payload."""
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc(length)) + payload + struct.pack("<I", masked_crc(payload))


def payload_crcs(records: np.ndarray) -> np.ndarray:
    """uint8 [N, record bytes] -> uint32 [N]: the masked CRC computed from each record's payload."""
    payloads = records[:, HEADER_BYTES:-FOOTER_BYTES]
    # The rows are passed without a copy, which would take as long as the CRC.
    crcs = np.fromiter(map(google_crc32c.value, payloads), np.uint32, len(records))
    return (crcs >> np.uint32(15) | crcs << np.uint32(17)) + np.uint32(MASK_DELTA)


def stored_crcs(records: np.ndarray) -> np.ndarray:
    """uint8 [N, record bytes] -> uint32 [N]: the masked CRC stored in each record."""
    return np.ascontiguousarray(records[:, -FOOTER_BYTES:]).view("<u4")[:, 0]
