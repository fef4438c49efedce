"""Finds the public examples of an APPS problem: the tests that its statement shows.

The release does not list them, and their layout varies. So each test is searched for in the statement. It is an example
if its input occurs there, followed by its output, with no other number next to either.
"""

import json
import re
from typing import Any

from codex_jax.problems.compare import NUMBER, long_integers

HEADING = re.compile(r"\b(?:examples?|samples?)\b", re.IGNORECASE)  # text before the first one has no examples
# Matches "Sample Input 2" alone on a line, where 2 is not part of the input, unlike in "Input: 2".
LABEL = r"(?:samples?|examples?|test|case|input|output)"
NUMBERED = re.compile(rf"^([^\w\n]*(?:{LABEL}[ \t#-]+)+)\d+[^\w\n]*$", re.IGNORECASE | re.MULTILINE)
EXPLANATION = re.compile(r"^\W*(?:explanation|note)\b.*$", re.IGNORECASE | re.MULTILINE)
# Text that may stand between the arguments of a call and before its value, without white space.
BETWEEN = r"(?:(?!input|explanation|example|note)[^0-9]){0,40}?"


def public_examples(question: str, inputs: tuple[Any, ...], outputs: tuple[Any, ...], call: bool) -> list[int]:
    """The indices of the tests that the statement shows. call: inputs are lists of arguments instead of text."""
    heading = HEADING.search(question)
    statement = NUMBERED.sub(r"\1", question[heading.start() :] if heading else question)
    tests = enumerate(zip(inputs, outputs, strict=True))
    if call:
        text = _normalized(EXPLANATION.sub("", statement))
        return [index for index, (arguments, value) in tests if _shows_call(text, arguments, value)]
    words = statement.split()
    return [index for index, (given, output) in tests if _shows_text(words, given.split(), output.split())]


def _shows_text(words: list[str], given: list[str], output: list[str]) -> bool:
    start = _find(words, given, 0)
    return start >= 0 and _find(words, output, start + len(given)) >= 0


def _find(words: list[str], sought: list[str], start: int) -> int:
    """The first index from `start` on where the sought words are consecutive with no number next to them, or -1."""
    for index in range(start, len(words) - len(sought) + 1 if sought else start):
        if words[index] == sought[0] and words[index : index + len(sought)] == sought:
            neighbours = [*words[max(0, index - 1) : index], *words[index + len(sought) : index + len(sought) + 1]]
            if not any(map(NUMBER.fullmatch, neighbours)):
                return index
    return -1


def _shows_call(text: str, arguments: list[Any], value: Any) -> bool:
    unwrapped = value[0] if isinstance(value, list) and len(value) == 1 else value
    # A number must not be part of a longer one. A word may touch it, because the text has no white space.
    pieces = [rf"(?<![0-9.-]){re.escape(_json_text(each))}(?![0-9]|\.[0-9])" for each in [*arguments, unwrapped]]
    too_long = sum(map(len, pieces)) > 4 * len(text) + 1000  # cannot occur, and would be slow to search for
    return bool(arguments) and not too_long and re.search("(?<!output:)" + BETWEEN.join(pieces), text) is not None


def _normalized(text: str) -> str:
    """The text without white space, in lower case and with one kind of quotes, because statements vary in these."""
    return "".join(text.split()).replace("'", '"').lower()


def _json_text(value: Any) -> str:
    with long_integers():
        return _normalized(json.dumps(value, ensure_ascii=False))
