import pytest

from codex_jax.curation.agreement import MAX_TESTS
from codex_jax.curation.made_problem import MadeProblem, NotMade
from codex_jax.curation.replay import Replayed, choose, replay
from codex_jax.curation.traced import (
    Project,
    TracedFunction,
    read_project,
    replay_job,
    trace_jobs,
    traced_functions,
    traced_outcome,
)
from codex_jax.errors import InputError
from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.pool import run_jobs

MODULE = '''\
import time

ZERO = 0


def sign(x):
    """The sign of a number."""
    if x > ZERO:
        return 1
    if x < ZERO:
        return -1
    return 0


def now(x):
    """The time."""
    return time.time() + x


def bare(x):
    return x
'''
TESTS = """\
import socket
from pkg.module import bare, now, sign

def test_sign():
    for x in range(40):
        assert sign(x) == (x > 0)
    assert sign(-3) == -1

def test_others():
    assert now(1) < now(2)
    assert bare(1) != bare(2)

def test_network_and_files():
    for attempt in (lambda: socket.create_connection(("1.1.1.1", 53), 1), lambda: open("/etc/x", "w")):
        try:
            attempt()
        except OSError:
            continue
        raise AssertionError("it worked")
"""
HANGS = "def test():\n    while True: pass\n"
FILES = {"pkg/__init__.py": "", "pkg/module.py": MODULE, "tests/test_a.py": TESTS, "tests/test_hangs.py": HANGS}


def test_tests_are_traced_and_their_calls_replayed():
    project = Project("p", "MIT", FILES, ("tests/test_a.py", "tests/test_hangs.py"))
    jobs = trace_jobs(project, Policy(packages=("pytest",)), 2.0)
    answers = dict(zip(jobs, (answer for _, answer in sorted(run_jobs(jobs.values()))), strict=True))
    assert answers["p/tests/test_a.py"]["exit"] == 0
    assert answers["p/tests/test_hangs.py"] == {"result": "timed out"}
    functions = traced_functions(project, answers)
    assert [one.name for one in functions] == ["sign", "now", "bare"]
    assert functions[0].seen == 41
    replayed = sorted(run_jobs([replay_job(one, 1.0) for one in functions], workers=1))
    sign, now, bare = (traced_outcome(one, answer) for one, (_, answer) in zip(functions, replayed, strict=True))
    assert isinstance(sign, MadeProblem)
    assert sign.prompt == 'ZERO = 0\n\n\ndef sign(x):\n    """The sign of a number."""\n'
    lines = sign.test.splitlines()
    assert {"    assert candidate(0) == 0", "    assert candidate(1) == 1", "    assert candidate(-3) == -1"} <= {
        *lines
    }
    assert len(lines) == 1 + MAX_TESTS
    assert (sign.repo, sign.licence, sign.provenance) == ("p", "MIT", "p/pkg/module.py:6")
    assert now == NotMade("p/pkg/module.py:15", "another_answer_on_replay")
    assert bare == NotMade("p/pkg/module.py:20", "no_docstring")


def test_calls_are_chosen_by_the_steps_they_take():
    def call(arguments, value, *steps):
        return Replayed(arguments, value, frozenset(steps))

    long, short = call("'long'", "1", (0, 1), (1, 2)), call("1", "1", (0, 1))
    other, third = call("2", "1", (0, 1)), call("3", "5", (0, 1), (1, 3))
    assert choose([short, other, long, third]) == [third, long, short, other]
    many = [call(str(n), str(n), (0, 1)) for n in range(50)]
    assert len(choose(many)) == MAX_TESTS


def test_only_calls_with_the_same_answer_are_replayed():
    program = "def f(x, y=0):\n    if x:\n        return [x, y]\n    raise ValueError\n"
    calls = [("1", "[1, 0]"), ("0", "None"), ("2, y=3", "[2, 4]"), ("2, y=3", "[2, 3]")]
    ((_, found),) = run_jobs([lambda run: replay(program, "f", calls, 1.0, run)], workers=1)
    assert [one[:2] for one in found] == [calls[0], calls[3]]
    assert found[0].steps == {(0, 2), (2, 3)}


def test_too_few_calls_name_why():
    project = Project("p", "", FILES, ())
    one = TracedFunction(project, "pkg/module.py", 6, "sign", {}, {"raises": 1, "arguments_not_plain": 2})
    assert replay_job(one, 1.0)(None) == {"reason": "arguments_not_plain"}
    same = TracedFunction(project, "pkg/module.py", 6, "sign", {"1": "1", "2": "1"}, {})
    ((_, answer),) = run_jobs([replay_job(same, 1.0)], workers=1)
    assert answer == {"reason": "always_the_same_answer"}


def test_a_project_is_read_from_a_folder(tmp_path):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "tests" / "data.bin").write_bytes(b"\xff")
    (tmp_path / "link.py").symlink_to("/etc/passwd")
    project = read_project(f"dir:{tmp_path}")
    assert project.files == FILES
    assert project.tests == ("tests/test_a.py", "tests/test_hangs.py")
    assert project.name == tmp_path.name
    with pytest.raises(InputError, match="has no tests"):
        read_project(f"dir:{tmp_path / 'pkg'}")
    for spec in ("pypi:x", "dir:/nowhere", "x"):
        with pytest.raises(InputError, match="give dir:PATH"):
            read_project(spec)
