"""What the comparisons of several benchmarks share: JSON with long integers, and numbers that are close."""

import cmath
import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def long_integers() -> Iterator[None]:
    """Lifts Python's limit of 4300 digits for reading and writing integers, which some tests exceed."""
    limit = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(0)
    try:
        yield
    finally:
        sys.set_int_max_str_digits(limit)


def read(text: str) -> Any:
    """The value of a JSON text."""
    with long_integers():
        return json.loads(text)


def close(actual: complex, expected: complex, atol: float, rtol: float) -> bool:
    """Whether |actual - expected| <= atol + rtol |expected|. Equal infinities are close, and so are two NaNs."""
    if actual == expected:
        return True
    try:
        if cmath.isnan(actual) and cmath.isnan(expected):
            return True
        return abs(actual - expected) <= atol + rtol * abs(expected) < math.inf
    except OverflowError:  # an integer that is too large for a float
        return False
