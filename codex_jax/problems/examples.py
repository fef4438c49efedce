"""Which tests of an APPS problem are its public examples: those that its statement shows.

The release has no list of them, and statements show them in many layouts. So each test is looked for in the statement:
it is an example where its input stands there with its output behind it, and no number stands beside either.
"""

import json
import re
from typing import Any

from codex_jax.problems.compare import NUMBER, long_integers

# Before the first of these, numbers are those of the story.
HEADING = re.compile(r"\b(?:examples?|samples?)\b", re.IGNORECASE)
# "Sample Input 2" alone on a line: its number is no part of the input, as that of "Input: 2" is.
LABEL = r"(?:samples?|examples?|test|case|input|output)"
NUMBERED = re.compile(rf"^([^\w\n]*(?:{LABEL}[ \t#-]+)+)\d+[^\w\n]*$", re.IGNORECASE | re.MULTILINE)
EXPLAINED = re.compile(r"^\W*(?:explanation|note)\b.*$", re.IGNORECASE | re.MULTILINE)
# What may stand between the arguments of a call, and before its value, in text without white space.
BETWEEN = r"(?:(?!input|explanation|example|note)[^0-9]){0,40}?"


def public(question: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...], call: bool) -> list[int]:
    """The indices of the tests that the statement shows; call: inputs are lists of arguments, not text."""
    heading = HEADING.search(question)
    shown = NUMBERED.sub(r"\1", question[heading.start() :] if heading else question)
    tests = enumerate(zip(inputs, outputs, strict=True))
    if call:
        text = _squeezed(EXPLAINED.sub("", shown))
        return [index for index, (given, expected) in tests if _shows_call(text, given, expected)]
    words = shown.split()
    return [index for index, (given, expected) in tests if _shows_text(words, given.split(), expected.split())]


def _shows_text(words: list[str], given: list[str], expected: list[str]) -> bool:
    place = _find(words, given, 0)
    return place >= 0 and _find(words, expected, place + len(given)) >= 0


def _find(words: list[str], sought: list[str], start: int) -> int:
    """Where these words stand in a row, with no number beside them; -1 where nowhere."""
    for place in range(start, len(words) - len(sought) + 1 if sought else start):
        if words[place] == sought[0] and words[place : place + len(sought)] == sought:
            beside = [*words[max(0, place - 1) : place], *words[place + len(sought) : place + len(sought) + 1]]
            if not any(map(NUMBER.fullmatch, beside)):
                return place
    return -1


def _shows_call(text: str, given: list[Any], expected: Any) -> bool:
    bare = expected[0] if isinstance(expected, list) and len(expected) == 1 else expected
    # A number is no part of a longer one; a word may stand beside it, as the text has no white space.
    pieces = [rf"(?<![0-9.-]){re.escape(_value(value))}(?![0-9]|\.[0-9])" for value in [*given, bare]]
    longest = sum(map(len, pieces)) > 4 * len(text) + 1000  # in no way there, and slow to look for
    return bool(given) and not longest and re.search("(?<!output:)" + BETWEEN.join(pieces), text) is not None


def _squeezed(text: str) -> str:
    """Without white space and in one kind of quotes: arguments are written in many ways."""
    return "".join(text.split()).replace("'", '"').lower()


def _value(value: Any) -> str:
    with long_integers():
        return _squeezed(json.dumps(value, ensure_ascii=False))
