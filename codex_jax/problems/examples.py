"""Finds the public examples of an APPS problem: the tests that its statement shows.

The release does not list them, and their layout varies. So each test is searched for in the statement. It is an example
if its input occurs there, followed by its output, with no other number next to either.
Each search takes time linear in the statement, or nearly so, whatever the statement says.
"""

import json
import re
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Any, NamedTuple

from codex_jax.problems.compare import long_integers

NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
HEADING = re.compile(r"\b(?:examples?|samples?)\b", re.IGNORECASE)  # text before the first one has no examples
# Matches "Sample Input 2" alone on a line, where 2 is not part of the input, unlike in "Input: 2".
LABEL = r"(?:samples?|examples?|test|case|input|output)"
NUMBERED = re.compile(rf"^([^\w\n]*(?:{LABEL}[ \t#-]+)+)\d+[^\w\n]*$", re.IGNORECASE | re.MULTILINE)
EXPLANATION = re.compile(r"^[^\w\n]*(?:explanation|note)\b.*$", re.IGNORECASE | re.MULTILINE)
# Between the arguments of a call and before its value, there may be some text, without white space, a digit or these.
MAX_GAP = 40
BEFORE = tuple("0123456789.-")  # these and AFTER make a number a part of a longer one
AFTER = re.compile(r"\.?[0-9]")
BARRIER = re.compile(r"[0-9]|(?=input|explanation|example|note)")


class Words(NamedTuple):
    """The words of a statement, as one text that can be searched for several words at once."""

    text: str  # a line feed before each word and after the last one
    starts: list[int]  # for each word, the position of the line feed before it
    numbers: list[bool]  # for each word, whether it is a number; False for the end


def public_examples(question: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...], call: bool) -> list[int]:
    """The indices of the tests that the statement shows. call: inputs are lists of arguments instead of text."""
    heading = HEADING.search(question)
    statement = NUMBERED.sub(r"\1", question[heading.start() :] if heading else question)
    tests = enumerate(zip(inputs, outputs, strict=True))
    if call:
        text = _normalized(EXPLANATION.sub("", statement))
        barriers = [match.start() for match in BARRIER.finditer(text)] + [len(text)]
        return [index for index, (arguments, value) in tests if _shows_call(text, barriers, arguments, value)]
    words = _words(statement.split())
    return [index for index, (given, output) in tests if _shows_text(words, given.split(), output.split())]


def _words(words: list[str]) -> Words:
    starts = accumulate((len(word) + 1 for word in words), initial=0)
    numbers = [NUMBER.fullmatch(word) is not None for word in words]
    return Words(_joined(words), list(starts), [*numbers, False])


def _joined(words: list[str]) -> str:
    return "".join(f"\n{word}" for word in words) + "\n"


def _shows_text(words: Words, given: list[str], output: list[str]) -> bool:
    start = _find(words, given, 0)
    return start >= 0 and _find(words, output, start + len(given)) >= 0


def _find(words: Words, sought: list[str], start: int) -> int:
    """The first index from `start` on where the sought words are consecutive with no number next to them, or -1."""
    text, starts, numbers = words
    part = _joined(sought)
    if sought and part in text:
        for index in range(start, len(numbers) - len(sought)):
            next_to_number = numbers[index - 1] or numbers[index + len(sought)]
            if not next_to_number and text.startswith(part, starts[index]):
                return index
    return -1


def _shows_call(text: str, barriers: list[int], arguments: list[Any], value: Any) -> bool:
    """Whether the arguments, then the value, occur in the text with at most MAX_GAP and no barrier between them."""
    unwrapped = value[0] if isinstance(value, list) and len(value) == 1 else value
    first, *others = map(_json_text, [*arguments, unwrapped])
    if not arguments or not all(piece in text for piece in (first, *others)):
        return False
    ends = [end for end in _ends(text, first) if not text.endswith("output:", 0, end - len(first))]
    for piece in others:
        ends, last, starts = [], -1, ends
        for start in starts:
            limit = min(start + MAX_GAP, barriers[bisect_left(barriers, start)])
            places = range(max(start, last + 1), limit + 1)
            ends += [place + len(piece) for place in places if _stands_at(text, piece, place)]
            last = limit
    return bool(ends)


def _ends(text: str, piece: str) -> Iterator[int]:
    """Where the piece ends, for each place where it stands."""
    place = text.find(piece)
    while place >= 0:
        if _stands_at(text, piece, place):
            yield place + len(piece)
        place = text.find(piece, place + 1)


def _stands_at(text: str, piece: str, place: int) -> bool:
    """Whether the piece is there. A number must not be part of a longer one; a word may touch it."""
    return (
        text.startswith(piece, place)
        and not text.endswith(BEFORE, 0, place)
        and AFTER.match(text, place + len(piece)) is None
    )


def _normalized(text: str) -> str:
    """The text without white space, in lower case and with one kind of quotes, because statements vary in these."""
    return "".join(text.split()).replace("'", '"').lower()


def _json_text(value: Any) -> str:
    with long_integers():
        return _normalized(json.dumps(value, ensure_ascii=False))
