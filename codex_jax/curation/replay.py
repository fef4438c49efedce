"""Repeats the recorded calls of a function that stands alone, and chooses those that become its tests by coverage."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from codex_jax.curation.agreement import MAX_TESTS
from codex_jax.curation.hosting import with_written
from codex_jax.curation.tracer import RAISES, YIELDS
from codex_jax.sandbox.check import Check
from codex_jax.sandbox.checker_files import TEMPORARY
from codex_jax.sandbox.pool import Run

TAKES = "take"
MOST = 50  # items of an iterator that are compared
# covered(arguments) calls the function, and returns what it gives and the steps from line to line that it took: its
# value as source, RAISES and the name of an exception of Python, or YIELDS and a list of its items; TAKES and the first
# MOST of them if there are more. Arguments that are changed count as no answer.
HOST = """\
import builtins, os, time
from itertools import islice

if {elsewhere!r}:
    os.makedirs("elsewhere/other")
    os.chdir("elsewhere/other")
    os.environ.update(HOME="/elsewhere", USER="other", LOGNAME="other", TZ="Asia/Kathmandu")
    time.tzset()

function = vars(load())[{name!r}]
scope = {{**written.NAMES, "arguments": lambda *values, **named: (values, named)}}

def outcome(positional, named):
    try:
        value = function(*positional, **named)
        if hasattr(type(value), "__next__") and hasattr(type(value), "__iter__"):
            items = [*islice(value, {most} + 1)]
            text = written.write(items[:{most}])
            return text and ({yields!r} if len(items) <= {most} else {takes!r}) + " " + text
        return written.write(value)
    except Exception as error:
        kinds = [kind for kind in type(error).__mro__ if vars(builtins).get(kind.__name__) is kind]
        return None if kinds[0] is Exception else {raises!r} + " " + kinds[0].__name__

def covered(text):
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

    positional, named = eval("arguments(" + text + ")", dict(scope))
    before = written.write([positional, named], True, False)
    sys.settrace(trace)
    try:
        found = outcome(positional, named)
    finally:
        sys.settrace(None)
    return found if written.write([positional, named], True, False) == before else None, sorted(steps)
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
    """A call that gave the recorded value again. value: as in HOST."""

    arguments: str
    value: str
    steps: frozenset[tuple[int, int]]


def replay(program: str, name: str, calls: Sequence[tuple[str, str]], seconds: float, run: Run) -> list[Replayed]:
    """The calls, (arguments, value) as source, whose values the program gives again, also in other surroundings.

    These are another working directory, home, user and time zone.
    """
    here = _replay(program, name, calls, seconds, run, elsewhere=False)
    again = [(call.arguments, call.value) for call in here]
    there = {call.arguments: call.value for call in _replay(program, name, again, seconds, run, elsewhere=True)}
    return [call for call in here if there.get(call.arguments) == call.value]


def _replay(
    program: str, name: str, calls: Sequence[tuple[str, str]], seconds: float, run: Run, elsewhere: bool
) -> list[Replayed]:
    host = HOST.format(name=name, most=MOST, raises=RAISES, yields=YIELDS, takes=TAKES, elsewhere=elsewhere)
    with tempfile.TemporaryDirectory(prefix="codex_jax_", dir=TEMPORARY[0]) as folder:
        path = Path(folder) / "values"
        test = RECORD.format(path=str(path), calls=[arguments for arguments, _ in calls])
        run(Check(program, "covered", test, with_written(host), cpu_seconds=seconds))
        lines = path.read_text().splitlines() if path.exists() else []
    again = [json.loads(line) for line in lines if line.endswith("]")]
    pairs = zip(calls, again, strict=False)  # it may have ended early
    return [
        Replayed(arguments, value, frozenset((before, after) for before, after in steps))
        for (arguments, recorded), (value, steps) in pairs
        if value is not None and _agrees(value, recorded)
    ]


def _agrees(value: str, recorded: str) -> bool:
    """Whether a call gave what was recorded, of which only the kind may be known, an exception or an iterator."""
    if value == recorded:
        return True
    kind = value.partition(" ")[0]
    if recorded == YIELDS:
        return kind in (YIELDS, TAKES)
    return kind == recorded == RAISES


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
