"""Encodes tf.train.Example with bytes features (format: https://protobuf.dev/programming-guides/encoding)."""

from collections.abc import Mapping


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data  # 2: a length and bytes follow


def _entry(name: str, value: bytes) -> bytes:
    return _field(1, _field(1, name.encode()) + _field(2, _field(1, _field(1, value))))


def encode(features: Mapping[str, bytes]) -> bytes:
    """Example(features=Features(feature={name: Feature(bytes_list=[value])})), with the names sorted."""
    return _field(1, b"".join(_entry(name, features[name]) for name in sorted(features)))


def layout(sizes: Mapping[str, int]) -> tuple[bytes, dict[str, slice]]:
    """For values of these sizes in bytes: (their encoding if all bytes are zero, the position of each value in it)."""
    blank = encode({name: bytes(size) for name, size in sizes.items()})
    entry_bytes = {name: len(_entry(name, bytes(sizes[name]))) for name in sorted(sizes)}
    end, positions = len(blank) - sum(entry_bytes.values()), {}
    for name, length in entry_bytes.items():
        end += length  # each entry ends with its value
        positions[name] = slice(end - sizes[name], end)
    return blank, positions
