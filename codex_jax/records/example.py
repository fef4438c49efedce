"""tf.train.Example holding bytes features, by hand: protobuf's wire format needs no TensorFlow here."""

from collections.abc import Mapping


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(data)) + data


def _entry(name: str, value: bytes) -> bytes:
    return _field(1, _field(1, name.encode()) + _field(2, _field(1, _field(1, value))))


def encode(features: Mapping[str, bytes]) -> bytes:
    """Example(features=Features(feature={name: Feature(bytes_list=[value])})), names in sorted order."""
    return _field(1, b"".join(_entry(name, features[name]) for name in sorted(features)))


def layout(sizes: Mapping[str, int]) -> tuple[bytes, dict[str, slice]]:
    """For values of these sizes in bytes: (encode() of zeros, where in it each value lies)."""
    blank = encode({name: bytes(size) for name, size in sizes.items()})
    entries = {name: len(_entry(name, bytes(sizes[name]))) for name in sorted(sizes)}
    end, places = len(blank) - sum(entries.values()), {}
    for name, length in entries.items():
        end += length  # a value is the last of its entry
        places[name] = slice(end - sizes[name], end)
    return blank, places


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    found, at = [], 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            if at >= len(data) or shift > 63:
                raise ValueError("Example is cut short")
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 != 2:
            raise ValueError("Example has a field that is not bytes")
        size = varint()
        if size > len(data) - at:
            raise ValueError("Example is cut short")
        found.append((key >> 3, data[at : at + size]))
        at += size
    return found


def decode(data: bytes) -> dict[str, bytes]:
    """The bytes features of an Example; ValueError where it is not one."""
    features = {}
    for _, entries in _fields(data):
        for _, entry in _fields(entries):
            parts = dict(_fields(entry))
            if {1, 2} - parts.keys():
                raise ValueError("Example has an entry without name or value")
            values = dict(_fields(parts[2]))
            features[parts[1].decode()] = dict(_fields(values.get(1, b""))).get(1, b"")
    return features
