import json

from codex_jax.curation.made_problem import MadeProblem, NotMade
from codex_jax.curation.projects import Project
from codex_jax.curation.traced import (
    BATCH,
    TracedFunction,
    batches_of,
    ended,
    key_of,
    replay_jobs,
    report_of_tests,
    trace_jobs,
    traced_functions,
    traced_outcome,
)
from codex_jax.sandbox.pool import run_jobs

MODULE = '''\
import time
from . import helpers
from .helpers import LIMIT as ZERO


def sign(x):
    """The sign of a number."""
    if x > ZERO:
        return 1
    if x < helpers.zero():
        return -1
    return 0


def now(x):
    """The time."""
    return time.time() + x


def bare(x):
    return x


def pairs(items):
    """Each item twice."""
    for item in items:
        yield item
        yield item


def inverse(x):
    """One divided by a number."""
    return 1 / x


def apply(function, x):
    """The function's value."""
    return function(x)


class Own:
    pass


def own(x):
    """An object."""
    return Own()
'''
HELPERS = "LIMIT = 0\n\ndef zero():\n    return LIMIT\n"
TESTS = """\
import socket
import unittest
from pkg import module
from pkg.module import apply, bare, inverse, now, own, pairs, sign

class TestSign(unittest.TestCase):
    def test_sign(self):
        for x in range(40):
            assert sign(x) == (x > 0)
        self.assertEqual(sign(-3), -1)

def test_others():
    assert now(1) < now(2)
    assert bare(1) != bare(2)
    assert own(1) is not own(2)

def test_iterators():
    assert list(pairs([1, 2])) == [1, 1, 2, 2]
    assert list(pairs("ab")) == list("aabb")
    module.pairs([])

def test_exceptions():
    assert [inverse(2), inverse(4), inverse(3)] == [0.5, 0.25, 1 / 3]
    try:
        inverse(0)
    except ZeroDivisionError:
        pass

def test_functions():
    assert apply(lambda x: x + 1, 2) == 3
    assert apply(str.upper, "a") == "A"
    assert apply(print, "a") is None

def test_network_and_files():
    for attempt in (lambda: socket.create_connection(("127.0.0.1", 53), 1), lambda: open("/etc/x", "w")):
        try:
            attempt()
        except OSError:
            continue
        raise AssertionError("it worked")
"""
HANGS = "def test():\n    while True: pass\n"
EXITS = "import os\n\ndef test():\n    os._exit(3)\n"
BROKEN = "import nothing_like_this\n\ndef test():\n    pass\n"
FILES = {
    "pkg/__init__.py": "", "pkg/module.py": MODULE, "pkg/helpers.py": HELPERS, "tests/test_a.py": TESTS,
    "tests/test_broken.py": BROKEN, "tests/test_hangs.py": HANGS, "tests/test_exits.py": EXITS,
}  # fmt: skip
PROJECT = Project("p", "MIT", FILES, tuple(name for name in FILES if name.startswith("tests/")))


def run(jobs):
    jobs = dict(jobs)
    return dict(zip(jobs, (answer for _, answer in sorted(run_jobs(jobs.values(), 1))), strict=True))


def test_tests_are_traced_and_their_calls_replayed():
    """Tests that hang, end their process or cannot be imported lose no records of the others."""
    batches = batches_of(PROJECT)
    answers = run(trace_jobs(PROJECT, batches, 1.5))
    alone = ended(PROJECT, batches, answers)
    assert alone == [
        ("tests/test_a.py",),
        ("tests/test_broken.py",),
        ("tests/test_exits.py",),
        ("tests/test_hangs.py",),
    ]
    answers |= run(trace_jobs(PROJECT, alone, 1.5))
    assert json.loads(json.dumps(answers)) == answers
    report = report_of_tests(PROJECT, [*batches, *alone], answers)
    assert report == {
        "files": 4,
        "passed": 6,
        "not_collected": 1,
        "failures": ["tests/test_broken.py: ModuleNotFoundError: No module named 'nothing_like_this'"],
        "ended": {"tests/test_exits.py": "failed: ProgramError: program ended", "tests/test_hangs.py": "timed out"},
    }
    functions = {one.name: one for one in traced_functions(PROJECT, answers.values())}
    assert functions.keys() == {"sign", "zero", "now", "bare", "pairs", "inverse", "apply", "own"}
    assert functions["sign"].seen == 41
    replayed = run(replay_jobs(functions.values(), 1.0))
    made = {name: traced_outcome(one, replayed[one.label]) for name, one in functions.items()}
    assert {name: one.reason for name, one in made.items() if isinstance(one, NotMade)} == {
        "zero": "few_calls",
        "now": "another_answer_on_replay",
        "bare": "no_docstring",
        "own": "result_not_plain",
    }
    sign, apply, inverse, pairs = (made[name] for name in ("sign", "apply", "inverse", "pairs"))
    assert isinstance(sign, MadeProblem)
    helpers = "LIMIT = 0\n\n\ndef zero():\n    return LIMIT\nZERO = LIMIT\n\n\n"
    assert sign.prompt == helpers + 'def sign(x):\n    """The sign of a number."""\n'
    assert sign.canonical_solution.splitlines()[2] == "    if x < zero():"
    expected = {"    assert candidate(0) == 0", "    assert candidate(1) == 1", "    assert candidate(-3) == -1"}
    assert expected <= {*sign.test.splitlines()}
    assert len(sign.test.splitlines()) == 1 + 20
    assert (sign.repo, sign.licence, sign.provenance) == ("p", "MIT", "p/pkg/module.py:6")
    assert {*apply.test.splitlines()[1:]} == {
        "    assert candidate(lambda x: x + 1, 2) == 3",
        "    assert candidate(str.upper, 'a') == 'A'",
    }
    assert "    except ZeroDivisionError:\n" in inverse.test
    assert "    assert math.isclose(candidate(3), 0.3333333333333333, rel_tol=1e-9, abs_tol=1e-12)\n" in inverse.test
    assert "    assert list(candidate([1, 2])) == [1, 1, 2, 2]\n" in pairs.test
    for problem in (sign, apply, inverse, pairs):
        scope: dict = {}
        exec(f"{problem.text}\n{problem.test}\ncheck({problem.entry_point})", scope)


def test_examples_in_docstrings_are_tests_too():
    text = 'def double(x):\n    """Twice.\n\n    >>> double(2)\n    4\n    >>> double("a")\n    \'aa\'\n    """\n'
    files = {"one.py": text + "    return x * 2\n"}
    project = Project("p", "", files, (), ("one.py",))
    answers = run(trace_jobs(project, batches_of(project), 5.0))
    (function,) = traced_functions(project, answers.values())
    assert function.calls == {"2": "4", "'a'": "'aa'"}


def test_files_of_one_folder_run_together():
    names = [f"tests/test_{n}.py" for n in range(BATCH + 1)] + ["tests/more/test_0.py"]
    project = Project("p", "", {}, tuple(names), ("a.py",))
    batches = batches_of(project)
    assert sorted(map(len, batches)) == [1, 1, 1, BATCH]
    assert {name for batch in batches for name in batch} == {*names, "a.py"}
    assert ended(project, batches, {key_of(project, batch): {"result": "timed out"} for batch in batches}) == [
        (name,) for name in sorted(names[:-1])[:BATCH]
    ]


def test_why_a_function_has_no_problem():
    def reason(name, line, calls, reasons=None):
        one = TracedFunction(PROJECT, "pkg/module.py", line, name, calls, reasons or {})
        ((label, answer),) = run(replay_jobs([one], 1.0)).items()
        assert label == f"p/pkg/module.py:{line}"
        return answer["reason"]

    assert reason("sign", 6, {}, {"result_not_plain": 1, "arguments_not_plain": 2}) == "arguments_not_plain"
    assert reason("sign", 6, {"1": "1"}) == "few_calls"
    assert reason("sign", 6, {"1": "1", "2": "1"}) == "always_the_same_answer"
    assert reason("sign", 6, {"1": "5", "2": "6"}) == "another_answer_on_replay"
    assert (
        reason("inverse", MODULE.splitlines().index("def inverse(x):") + 1, {"0": "raise", "'a'": "raise"})
        == "only_raises"
    )
    assert reason("sign", 7, {"1": "1", "-1": "-1"}) == "not_on_top_level"


def test_answers_that_contradict_each_other_are_no_answers():
    answers = [{"calls": [["m.py", 1, "f", "1", "2"]], "reasons": []}, {"calls": [["m.py", 1, "f", "1", "3"]]}]
    (one,) = traced_functions(PROJECT, answers)
    assert one.calls == {"1": ""}
