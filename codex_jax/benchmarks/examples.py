"""Which tests of an APPS problem are its public examples: those that its statement shows.

The release has no list of them, and statements show them in many layouts. So a test is looked for in the statement: it
is an example where its input stands there, and its output behind that.
"""

import json
import re
from typing import Any

from codex_jax.benchmarks.compare import long_integers

WORD = re.compile(r"\S+")
# Before the first of these, numbers are those of the story.
HEADING = re.compile(r"\b(?:examples?|samples?)\b", re.IGNORECASE)


def public(question: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...], call: bool) -> list[int]:
    """The indices of the tests that the statement shows; call: inputs are lists of arguments, not text."""
    heading = HEADING.search(question)
    shown = question[heading.end() :] if heading else question
    text = _squeezed(shown) if call else _spaced(shown)
    found = []
    for index, (given, expected) in enumerate(zip(inputs, outputs, strict=True)):
        pieces = [*map(_value, given), _value(_bare(expected))] if call else [_spaced(given), _spaced(expected)]
        if all(piece.strip() for piece in pieces) and _in_order(text, pieces):
            found.append(index)
    return found


def _in_order(text: str, pieces: list[str]) -> bool:
    place = 0
    for piece in pieces:
        start = text.find(piece, place)
        if start < 0:
            return False
        # The white space that ends a piece of text begins the next.
        place = start + len(piece.rstrip())
    return True


def _spaced(text: str) -> str:
    """The words with one space before and after each, so that they are found as whole words."""
    return f" {' '.join(WORD.findall(text))} "


def _squeezed(text: str) -> str:
    """Without white space and in one kind of quotes: arguments are written in many ways."""
    return "".join(text.split()).replace("'", '"').lower()


def _value(value: Any) -> str:
    with long_integers():
        return _squeezed(json.dumps(value, ensure_ascii=False))


def _bare(expected: Any) -> Any:
    return expected[0] if isinstance(expected, list) and len(expected) == 1 else expected
