"""Encodes tf.train.Example with bytes features (format: https://protobuf.dev/programming-guides/encoding)."""

from collections.abc import Mapping


def varint(value: int) -> bytes:
    """A number from 0 in the encoding of protocol buffers."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def field(number: int, data: bytes) -> bytes:
    """A field of bytes, text or a message."""
    return varint(number << 3 | 2) + varint(len(data)) + data  # 2: a length and bytes follow


def _entry(name: str, value: bytes) -> bytes:
    return field(1, field(1, name.encode()) + field(2, field(1, field(1, value))))


def encode(features: Mapping[str, bytes]) -> bytes:
    """Example(features=Features(feature={name: Feature(bytes_list=[value])})), with the names sorted."""
    return field(1, b"".join(_entry(name, features[name]) for name in sorted(features)))


def layout(sizes: Mapping[str, int]) -> tuple[bytes, dict[str, slice]]:
    """For values of these sizes in bytes: (their encoding if all bytes are zero, the position of each value in it)."""
    blank = encode({name: bytes(size) for name, size in sizes.items()})
    entry_bytes = {name: len(_entry(name, bytes(sizes[name]))) for name in sorted(sizes)}
    end, positions = len(blank) - sum(entry_bytes.values()), {}
    for name, length in entry_bytes.items():
        end += length  # each entry ends with its value
        positions[name] = slice(end - sizes[name], end)
    return blank, positions
