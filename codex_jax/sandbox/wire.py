"""Messages between the checker and the program: a JSON list each, with its length in front.

Programs may be hostile, so a message may be anything, but JSON holds only plain data, and its size is limited.
"""

import json
import os
import struct
import sys
from typing import Any

HEADER = struct.Struct("<I")  # the length of a message in bytes
MAX_BYTES = 128 << 20  # of one message
MAX_DIGITS = 4300  # Python's limit for decimal integers, as reading them takes time with the square of their digits
MAX_BITS = 10_000  # a longer integer is sent in hexadecimal if another has too many digits
SMALL = 1 << 12  # bytes; a shorter message is read by one system call
WHOLE = 1 << 16  # bytes; a shorter message is written by one system call

_write = json.JSONEncoder(ensure_ascii=False, check_circular=False, separators=(",", ":")).encode
_read = json.JSONDecoder(parse_constant=float).raw_decode  # a new NaN each time, as two NaNs are never the same


class WireError(Exception):
    """A message that no honest program sends."""


class LimitError(Exception):
    """A value that exceeds a limit, which the text names."""


def dump(message: list) -> bytes:
    """Encodes a message. LimitError if it is too large."""
    digits = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(MAX_DIGITS)  # a program may have changed it
    try:
        data = _write(message).encode("utf-8", "surrogatepass")
    except ValueError:  # an integer has too many digits
        data = _write(_without_long_integers(message)).encode("utf-8", "surrogatepass")
    finally:
        sys.set_int_max_str_digits(digits)
    if len(data) > MAX_BYTES:
        raise too_large()
    return data


def parse(data: bytes) -> list:
    """Decodes a message. WireError if it is no JSON list with a text in front."""
    try:
        text = data.decode("utf-8", "surrogatepass")
        message, end = _read(text)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not a message: {error}") from None
    if end != len(text) or type(message) is not list or not message or type(message[0]) is not str:
        raise WireError("not a message")
    return message


def too_large() -> LimitError:
    """The error for a message of more than MAX_BYTES."""
    return LimitError(f"an answer of more than {MAX_BYTES >> 20} MiB")


def _without_long_integers(node: Any) -> Any:
    if type(node) is int and node.bit_length() > MAX_BITS:
        return {"int": hex(node)}
    return [*map(_without_long_integers, node)] if type(node) in (list, tuple) else node


def frame(data: bytes) -> bytes:
    """Returns the message with its length in front."""
    return HEADER.pack(len(data)) + data


class Pipe:
    """Two pipes, one to read messages from and one to write them to. received: the number of bytes read."""

    def __init__(self, incoming: int, outgoing: int) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._rest = b""  # of the bytes read
        self.received = 0

    def send(self, data: bytes) -> None:
        """Writes one whole message."""
        parts = [frame(data)] if len(data) < WHOLE else [HEADER.pack(len(data)), data]
        for part in parts:
            view = memoryview(part)
            while view:
                view = view[os.write(self._outgoing, view) :]

    def receive(self) -> bytes:
        """Reads one message. EOFError if the other end is closed, LimitError if the message is too large."""
        (length,) = HEADER.unpack(self._read(HEADER.size))
        if length > MAX_BYTES:
            raise too_large()
        self.received += length
        return self._read(length)

    def _read(self, count: int) -> bytes:
        parts, size = [self._rest], len(self._rest)
        while size < count:
            part = os.read(self._incoming, min(max(count - size, SMALL), WHOLE))
            if not part:
                raise EOFError("the other side is gone")
            parts.append(part)
            size += len(part)
        data = b"".join(parts)
        self._rest = data[count:]
        return data[:count]
