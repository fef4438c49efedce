"""Compares outputs and return values with those that APPS expects. Runs in the checker, on plain values only.

The rules are those of run_test in hendrycks/apps, except where docs/scoring.md says otherwise. Each takes time linear
in the size of the answer.
"""

import math
import re
from typing import Any

ATOL, RTOL = 1e-8, 1e-5  # of two outputs with one number per line, as in numpy.allclose
DIGITS = 3  # other numbers are equal if they are equal after rounding to this many decimals
INTEGER = re.compile(r"[+-]?[0-9]+")
WORD = re.compile(r"\S+")
NEW_LINE = re.compile("[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")  # where str.splitlines ends a line


def same_output(actual: str, expected: str) -> bool:
    """Whether two outputs have the same words on the same lines, without counting blank lines, or are close numbers."""
    wanted = expected.split()
    words = actual.split(None, len(wanted))  # ends early, because a hostile output may have many more words
    if len(words) != len(wanted):
        return False
    breaks = _line_breaks(actual)
    return breaks == _line_breaks(expected) and (words == wanted or _close(words, wanted, all(breaks)))


def _line_breaks(text: str) -> list[bool]:
    """For each gap between two words, whether the second one is on another line."""
    return [NEW_LINE.search(gap) is not None for gap in WORD.split(text)[1:-1]]


def _close(words: list[str], wanted: list[str], one_per_line: bool) -> bool:
    """Whether all words are numbers that are close to the wanted ones. Integers must be equal as text."""
    for word, want in zip(words, wanted, strict=True):
        if word != want and INTEGER.fullmatch(word) and INTEGER.fullmatch(want):
            return False
    try:
        pairs = list(zip(map(float, words), map(float, wanted), strict=True))
    except ValueError:
        return False
    return (one_per_line and all(_all_close(*pair) for pair in pairs)) or all(
        round(number, DIGITS) == round(want, DIGITS) for number, want in pairs
    )


def _all_close(number: float, want: float) -> bool:
    """Whether numpy.allclose holds for two numbers: NaN is close to nothing, and infinities only to themselves."""
    return number == want or abs(number - want) <= ATOL + RTOL * abs(want) < math.inf


def integer_keys(value: Any) -> Any:
    """A dict with its keys as integers, if all of them can be: JSON has only text as keys. Other values as they are."""
    if not isinstance(value, dict):
        return value
    try:
        return {int(key): item for key, item in value.items()}
    except ValueError:
        return value


def restore_arguments(arguments: list[Any]) -> list[Any]:
    """The arguments of a call from JSON: a dict that comes first has its integer keys back."""
    return [*map(integer_keys, arguments[:1]), *arguments[1:]]


def restore_value(value: Any) -> Any:
    """An expected value from JSON: a dict has its integer keys back, and so have the dicts of a list that starts so.

    Such a dict is also wrapped in a list, so that same_return accepts it with a list around it.
    """
    if isinstance(value, list) and value:
        first = integer_keys(value[0])
        return value if first is value[0] else [first, *map(integer_keys, value[1:])]
    restored = integer_keys(value)
    return value if restored is value else [restored]


def same_return(actual: Any, expected: Any) -> bool:
    """Whether a function returned the expected value, which APPS may have wrapped in a list of length 1.

    JSON has no tuples. A tuple that is returned counts as a list; in a wrapped value, so do the tuples inside it.
    """
    if isinstance(actual, tuple):
        actual = list(actual)
    if actual == expected:
        return True
    if not (isinstance(expected, list) and len(expected) == 1):
        return False
    try:
        return actual == expected[0] or (isinstance(actual[0], tuple) and list(map(list, actual)) == expected[0])
    except (TypeError, LookupError):  # not a sequence, or an empty one
        return False
