"""The forms of numpy's arrays and scalars, in use only where a policy lets programs import numpy.

An array is its numbers as bytes, or its items, with the name of its type and its shape. A scalar is an array without
dimensions. Sizes are checked before an array is made, and Python's pickle is never used.
"""

import math
import re
import sys
from base64 import b64decode, b64encode
from typing import Any

from codex_jax.sandbox import forms, raised
from codex_jax.sandbox.forms import CarryError, Form
from codex_jax.sandbox.values import refuse_equal_hashes
from codex_jax.sandbox.wire import MAX_BYTES, LimitError, too_large

# Booleans, integers, floating-point and complex numbers, bytes, text, and times with their unit.
CODE = re.compile(r"[<>|]([biufc]\d{1,2}|[SU]\d{1,9}|[mM]8(\[\d{0,9}[A-Za-z]{1,2}\])?)")
KINDS = "biufcSUmM"
OBJECTS = "O"
MAX_DIMENSIONS = 32  # as many as in every version of numpy


def carry_arrays() -> None:
    """Adds numpy's types to those that can be sent."""
    import numpy as np

    def is_plain(dtype: Any) -> bool:
        return dtype.kind in KINDS and dtype.isbuiltin != 2 and CODE.fullmatch(dtype.str) is not None

    def take_apart(value: Any) -> tuple[list, tuple[str, list[int]]]:
        """Returns (the parts, (the type's code, the shape))."""
        shape = [*value.shape]
        if value.dtype.kind == OBJECTS:
            return value.ravel().tolist(), (OBJECTS, shape)
        if not is_plain(value.dtype):
            raise CarryError(np.ndarray)
        if value.dtype.kind == "U":  # as text, because bytes need not be characters
            return value.ravel().tolist(), (value.dtype.str, shape)
        return [b64encode(value.tobytes()).decode()], (value.dtype.str, shape)

    def of_array(value: Any) -> Form:
        return "ndarray", *take_apart(value)

    def of_scalar(value: Any) -> Form:
        parts, (code, _) = take_apart(np.asarray(value))
        return "scalar", parts, code

    def make(parts: list, extra: Any) -> Any:
        code, shape = extra
        if len(shape) > MAX_DIMENSIONS or any(type(size) is not int or size < 0 for size in shape):
            raise ValueError("not a shape")
        count, extent = math.prod(shape), math.prod(max(1, size) for size in shape)
        if code == OBJECTS:
            if len(parts) != count or extent > MAX_BYTES:
                raise ValueError("a shape for other items")
            # These are freed by recursion in C, and so would be an array that has them as items.
            if any(type(part) is slice or (type(part) is np.ndarray and part.dtype.kind == OBJECTS) for part in parts):
                raise LimitError("an array of arrays of objects, or of slices")
            made = np.empty(count, object)
            for index, part in enumerate(parts):  # one by one, as numpy would take lists apart
                made[index] = part
            return made.reshape(shape)
        if CODE.fullmatch(code) is None:
            raise ValueError("not a type of array")
        dtype = np.dtype(code)
        if extent * max(1, dtype.itemsize) > MAX_BYTES:
            raise too_large()
        if dtype.kind == "U":
            if len(parts) != count or not all(type(part) is str for part in parts):
                raise ValueError("a shape for other texts")
            return np.array(parts, dtype).reshape(shape)
        (text,) = parts
        data = b64decode(text, validate=True)
        if len(data) != count * dtype.itemsize:
            raise ValueError("a shape for other data")
        if dtype.kind == "b":  # a byte that is neither 0 nor 1 would be both true and false
            return (np.frombuffer(data, np.uint8) != 0).reshape(shape)
        made = np.frombuffer(data, dtype).reshape(shape).copy()
        if dtype.kind == "c":  # whose hashes are easy to choose
            refuse_equal_hashes(made.ravel().tolist())
        return made

    forms.FORMS[np.ndarray] = of_array
    for kind in {kind for kind in np.sctypeDict.values() if np.dtype(kind).kind in KINDS}:
        forms.FORMS[kind] = of_scalar
    forms.MAKERS["ndarray"] = make
    forms.MAKERS["scalar"] = lambda parts, code: make(parts, [code, []])[()]
    forms.CHANGEABLE.add(np.ndarray)
    forms.CONTENTS[np.ndarray] = _contents
    forms.ASSIGN[np.ndarray] = _assign
    raised.KNOWN.add("numpy")


def _contents(value: Any) -> list:
    """What tells whether an array was changed: objects that are the same if it was not."""
    if value.dtype.kind == OBJECTS:
        return [value.dtype, *value.ravel().tolist()]
    return [value.dtype, *value.shape, sys.intern(value.tobytes().decode("latin-1"))]


def _assign(target: Any, value: Any) -> None:
    if (target.dtype, target.shape) != (value.dtype, value.shape):
        raise TypeError("not a change of an array")
    target[...] = value
