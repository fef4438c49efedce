"""The program's process: runs prompt + completion, then answers calls of its function with plain data.

Nothing it says is a verdict: it never sees a test, and the checker takes its answers for values alone.
"""

import os
import struct
from typing import Any

from codex_jax.sandbox.wire import MAX_BYTES, WireError, decode, encode

HEADER = struct.Struct("<I")


def pack(data: bytes) -> bytes:
    """One message, behind its length."""
    return HEADER.pack(len(data)) + data


def send(descriptor: int, data: bytes) -> None:
    """Writes one message, all of it."""
    view = memoryview(pack(data))
    while view:
        view = view[os.write(descriptor, view) :]


def receive(descriptor: int) -> bytes:
    """One message; EOFError where the other side is gone, WireError where it is too large."""
    (length,) = HEADER.unpack(_read(descriptor, HEADER.size))
    if length > MAX_BYTES:
        raise WireError(f"a message of {length} bytes is too large")
    return _read(descriptor, length)


def _read(descriptor: int, count: int) -> bytes:
    data = bytearray()
    while len(data) < count:
        part = os.read(descriptor, min(count - len(data), 1 << 20))
        if not part:
            raise EOFError("the other side is gone")
        data += part
    return bytes(data)


def _failure(error: BaseException) -> bytes:
    # The nearest built-in type, as the checker knows no other.
    names = [kind.__name__ for kind in type(error).__mro__ if kind.__module__ == "builtins"]
    try:
        text = str(error)[:200]
    except Exception:
        text = ""
    return encode(("error", names[0] if names else "Exception", text))


def serve(calls: int, replies: int) -> None:
    """Reads its source and the function's name, runs it, says so, and answers calls until the checker goes away."""
    source, entry_point = decode(receive(calls))
    scope: dict[str, Any] = {"__name__": "candidate"}
    try:
        exec(compile(source, "candidate.py", "exec"), scope)
        function = scope[entry_point]
        message = encode(("ready",))
    except BaseException as error:
        message, function = _failure(error), None
    send(replies, message)
    while function is not None:
        args, kwargs = decode(receive(calls))
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            message = _failure(error)
        else:
            try:
                message = encode(("value", value))
            except BaseException as error:
                message = encode(("refused", f"cannot return {type(value).__name__}: {error}"[:200]))
        send(replies, message)
