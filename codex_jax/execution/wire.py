"""Plain values as tagged JSON between the checker and the program; what comes back is hostile, and bounded.

Exact types survive: true is not 1, a tuple not a list. Subclasses travel as the built-in type they extend.
"""

import json
import math
from typing import Any

MAX_BYTES = 16 << 20  # of one message
MAX_DEPTH = 100


class WireError(ValueError):
    """A value that is not plain data, or a message that is not one of ours."""


def encode(value: Any) -> bytes:
    """The message of a value; WireError where it is not plain, too deep or too large."""
    try:
        data = json.dumps(_pack(value, 0)).encode()
    except (RecursionError, ValueError) as error:
        raise WireError(str(error)) from None
    if len(data) > MAX_BYTES:
        raise WireError(f"a value of {len(data)} bytes is too large")
    return data


def decode(data: bytes) -> Any:
    """The value of a message; WireError for anything that encode cannot have made."""
    if len(data) > MAX_BYTES:
        raise WireError(f"a message of {len(data)} bytes is too large")
    try:
        return _unpack(json.loads(data), 0)
    except WireError:
        raise
    except (ValueError, TypeError, KeyError, IndexError, RecursionError, OverflowError) as error:
        raise WireError(f"not a message: {error!r}") from None


def _pack(value: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise WireError("a value is nested too deep")
    if value is None or value is True or value is False:
        return value
    if isinstance(value, int):
        return {"int": hex(int(value))}  # no limit on digits, unlike decimal
    if isinstance(value, float):
        return {"float": float(value).hex() if math.isfinite(value) else str(float(value))}
    if isinstance(value, complex):
        return {"complex": [_pack(value.real, depth + 1), _pack(value.imag, depth + 1)]}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return {"bytes" if isinstance(value, bytes) else "bytearray": bytes(value).hex()}
    for kind in (list, tuple, set, frozenset):
        if isinstance(value, kind):
            return {kind.__name__: [_pack(item, depth + 1) for item in value]}
    if isinstance(value, dict):
        return {"dict": [[_pack(key, depth + 1), _pack(item, depth + 1)] for key, item in value.items()]}
    raise WireError(f"a value of type {type(value).__name__} is not plain data")


def _unpack(node: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise WireError("a message is nested too deep")
    if node is None or isinstance(node, (bool, str)):
        return node
    if not isinstance(node, dict) or len(node) != 1:
        raise WireError("a message has a node that is not tagged")
    ((tag, body),) = node.items()
    if tag == "int":
        return int(body, 16)
    if tag == "float":
        return float(body) if body in ("inf", "-inf", "nan") else float.fromhex(body)
    if tag == "complex":
        real, imag = (_unpack(part, depth + 1) for part in body)
        return complex(real, imag)
    if tag in ("bytes", "bytearray"):
        return (bytes if tag == "bytes" else bytearray).fromhex(body)
    if tag in ("list", "tuple", "set", "frozenset"):
        if not isinstance(body, list):
            raise WireError("a message has a sequence that is not a list")
        kind = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}[tag]
        return kind(_unpack(item, depth + 1) for item in body)  # one by one, so that a timer can end it
    if tag == "dict":
        return {_unpack(key, depth + 1): _unpack(item, depth + 1) for key, item in body}
    raise WireError(f"a message has the unknown tag {tag!r}")
