"""Messages between the checker and the program: plain values as JSON. Programs may be hostile, so sizes are limited.

Other types are tagged: {"tuple": [...]}, {"list": [...]}, {"dict": [[key, value], ...]}, {"int": "0x..."} and more.
Exact types survive: True is not 1, and a tuple is not a list. Subclasses are sent as the built-in type they extend.
"""

import json
import math
import os
import struct
from collections.abc import Callable
from typing import Any

HEADER = struct.Struct("<I")  # the length of a message in bytes
MAX_BYTES = 16 << 20  # of one message
MAX_DEPTH = 100
SEQUENCES: dict[str, Callable] = {kind.__name__: kind for kind in (list, tuple, set, frozenset)}
PLAIN = frozenset((type(None), bool, str))
JSON = PLAIN | {int, float}
PLAIN_INT = 1 << 63  # larger integers are sent in hexadecimal, as Python limits the length of decimal ones
NAMES = {kind: name for name, kind in SEQUENCES.items()}
BASES: tuple[Any, ...] = (int, float, complex, str, bytes, bytearray, *NAMES, dict)


def _refuse(constant: str) -> None:
    raise ValueError(constant)


_write = json.JSONEncoder(check_circular=False, allow_nan=False, separators=(",", ":")).encode
_read = json.JSONDecoder(parse_constant=_refuse).decode


class WireError(ValueError):
    """A value that is not plain data, or a malformed message."""


def encode(value: Any) -> bytes:
    """Encodes a value as a message; WireError if it is not plain data, nested too deep or too large."""
    try:
        data = _write(_pack(value, 0)).encode()
    except (RecursionError, ValueError) as error:
        raise WireError(str(error)) from None
    if len(data) > MAX_BYTES:
        raise WireError(f"a value of {len(data)} bytes is too large")
    return data


def decode(data: bytes) -> Any:
    """Decodes a message to its value; WireError for anything that encode does not produce."""
    if len(data) > MAX_BYTES:
        raise WireError(f"a message of {len(data)} bytes is too large")
    try:
        return _unpack(_read(data.decode()), 0)
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise WireError(f"not a message: {error!r}") from None


def frame(data: bytes) -> bytes:
    """Returns the message with its length in front."""
    return HEADER.pack(len(data)) + data


def send(descriptor: int, data: bytes) -> None:
    """Writes one whole message."""
    view = memoryview(frame(data))
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> bytes:
    """Reads one message; EOFError if the other end is closed, WireError if the message is too large."""
    (length,) = HEADER.unpack(_read_exactly(descriptor, HEADER.size))
    if length > MAX_BYTES:
        raise WireError(f"a message of {length} bytes is too large")
    return _read_exactly(descriptor, length)


def _read_exactly(descriptor: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = os.read(descriptor, min(count - len(data), 1 << 20))
        if not part:
            raise EOFError("the other side is gone")
        data += part
    return bytes(data)


def _pack(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind in PLAIN:
        return value
    if kind is int:
        return value if -PLAIN_INT < value < PLAIN_INT else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": str(value)}
    if depth >= MAX_DEPTH:
        raise WireError("a value is nested too deep")
    depth += 1
    if kind in NAMES:
        return {NAMES[kind]: [item if type(item) in PLAIN else _pack(item, depth) for item in value]}
    if kind is dict:
        return {"dict": [[_pack(key, depth), _pack(item, depth)] for key, item in value.items()]}
    if kind is complex:
        return {"complex": [_pack(value.real, depth), _pack(value.imag, depth)]}
    if kind is bytes or kind is bytearray:
        return {kind.__name__: value.hex()}
    for base in BASES:
        if isinstance(value, base):
            return _pack(base(value), depth)
    raise WireError(f"a value of type {kind.__name__} is not plain data")


def _unpack(node: Any, depth: int) -> Any:
    if type(node) in JSON:
        return node
    if depth > MAX_DEPTH:
        raise WireError("a message is nested too deep")
    if type(node) is not dict or len(node) != 1:
        raise WireError("a message has a node that is not tagged")
    ((tag, body),) = node.items()
    if tag == "int":
        return int(body, 16)
    if tag == "float":
        return float({"inf": "inf", "-inf": "-inf", "nan": "nan"}[body])
    depth += 1
    if tag in SEQUENCES:
        if type(body) is not list:
            raise WireError("a message has a sequence that is not a list")
        # A generator, so that a timer can interrupt it between items.
        return SEQUENCES[tag](item if type(item) in JSON else _unpack(item, depth) for item in body)
    if tag == "dict":
        return {_unpack(key, depth): _unpack(item, depth) for key, item in body}
    if tag == "complex":
        real, imag = (_unpack(part, depth) for part in body)
        return complex(real, imag)
    if tag in ("bytes", "bytearray"):
        return (bytes if tag == "bytes" else bytearray).fromhex(body)
    raise WireError(f"a message has the unknown tag {tag!r}")
