"""Repeats the recorded calls of a function that stands alone, and chooses those that become its tests by coverage."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from codex_jax.curation.agreement import MAX_TESTS
from codex_jax.sandbox.check import Check
from codex_jax.sandbox.checker_files import TEMPORARY
from codex_jax.sandbox.pool import Run

# covered(arguments) calls the function, and returns its value as source and the steps from line to line that it took.
HOST = """\
import sys
function = vars(load())[{name!r}]

def covered(arguments):
    steps, latest = set(), {{}}

    def trace(frame, event, _):
        if frame.f_code.co_filename != "candidate.py":
            return None
        if event == "line":
            steps.add((latest.get(id(frame), 0), frame.f_lineno))
            latest[id(frame)] = frame.f_lineno
        elif event == "return":
            latest.pop(id(frame), None)
        return trace

    sys.settrace(trace)
    try:
        value = eval("function(" + arguments + ")", {{"function": function}})
    except Exception:
        return None, []
    finally:
        sys.settrace(None)
    return repr(value), sorted(steps)
"""
RECORD = """\
import json

def check(candidate):
    with open({path!r}, "w") as file:
        for arguments in {calls!r}:
            file.write(json.dumps(candidate(arguments)) + "\\n")
            file.flush()
"""


class Replayed(NamedTuple):
    """A call that gave the recorded value again."""

    arguments: str
    value: str
    steps: frozenset[tuple[int, int]]


def replay(program: str, name: str, calls: Sequence[tuple[str, str]], seconds: float, run: Run) -> list[Replayed]:
    """The calls, (arguments, value) as source, whose values the program gives again."""
    with tempfile.TemporaryDirectory(prefix="codex_jax_", dir=TEMPORARY[0]) as folder:
        path = Path(folder) / "values"
        test = RECORD.format(path=str(path), calls=[arguments for arguments, _ in calls])
        run(Check(program, "covered", test, HOST.format(name=name), cpu_seconds=seconds))
        lines = path.read_text().splitlines() if path.exists() else []
    again = [json.loads(line) for line in lines if line.endswith("]")]
    pairs = zip(calls, again, strict=False)  # it may have ended early
    return [
        Replayed(*call, frozenset((before, after) for before, after in steps))
        for call, (value, steps) in pairs
        if value == call[1]
    ]


def choose(calls: Sequence[Replayed]) -> list[Replayed]:
    """At most MAX_TESTS calls: first those that take the most steps no other chosen one takes, then new results.

    Of equal ones, the shortest comes first.
    """
    chosen: list[Replayed] = []
    left = sorted(calls, key=lambda call: (len(call.arguments), call.arguments))
    steps: set[tuple[int, int]] = set()
    values: set[str] = set()
    while left and len(chosen) < MAX_TESTS:
        best = max(left, key=lambda call: (len(call.steps - steps), call.value not in values))
        left.remove(best)
        chosen.append(best)
        steps |= best.steps
        values.add(best.value)
    return chosen
