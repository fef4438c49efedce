"""Runs several solutions of one problem on its inputs, and keeps the inputs on which they agree.

The values come back through a temporary file that the checker writes; the programs themselves cannot see it.
"""

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.checker_files import TEMPORARY
from codex_jax.sandbox.pool import Run

MAX_SOLUTIONS = 8  # run per problem
ENOUGH = 2  # solutions that must agree
MAX_TESTS = 20
MAX_CHARACTERS = 2000  # of a value, or of an input
# Writes one line per input: the value as Python source, or null if it is none that can be written, or failed.
RECORD = """\
import ast, json

def check(candidate):
    with open({path!r}, "a") as file:
        for arguments in {inputs!r}:
            try:
                value = candidate(*arguments)
                text = repr(value)
                same = len(text) <= {most} and ast.literal_eval(text) == value
            except Exception:
                same = False
            file.write(json.dumps(text if same else None) + "\\n")
            file.flush()
"""


@dataclass(frozen=True)
class Agreed:
    """An input with the value that the solutions agree on, as Python source."""

    number: int  # of the input
    value: str


def record_values(program: str, name: str, inputs: Sequence[tuple], seconds: float, run: Run) -> list[str | None]:
    """The value of a program for each input, as Python source; None where it has none."""
    with tempfile.TemporaryDirectory(prefix="codex_jax_", dir=TEMPORARY[0]) as folder:
        path = Path(folder) / "values"
        test = RECORD.format(path=str(path), inputs=list(inputs), most=MAX_CHARACTERS)
        run(Check(program, name, test, cpu_seconds=seconds))
        lines = path.read_text().splitlines() if path.exists() else []
    values = [json.loads(line) for line in lines if line.startswith(("null", '"'))]
    return values[: len(inputs)] + [None] * (len(inputs) - len(values))


def agreeing(values: Sequence[Sequence[str | None]], given: Sequence[bool], examples: Sequence[int]) -> list[Agreed]:
    """The inputs on which all solutions that have a value agree: examples first, then in order.

    values: [solution][input]. given: for each input, whether its value is stated, which the solutions then have.
    examples: the inputs that the statement shows; where one's value is stated, one solution is enough.
    """
    found = []
    for number in [*examples, *(n for n in range(len(given)) if n not in set(examples))]:
        texts = [text for row in values if (text := row[number]) is not None]
        enough = 1 if number in examples and given[number] else ENOUGH
        if len(texts) >= enough and len({*texts}) == 1:
            found.append(Agreed(number, texts[0]))
    return found[:MAX_TESTS]
