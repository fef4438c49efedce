"""Every attack in every layer that works here. By default each layer runs once; with -m "", as root and as nobody."""

import functools
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

import pytest

from codex_jax.errors import InputError
from codex_jax.sandbox.layers import LAYERS
from codex_jax.sandbox.pool import SandboxWorker
from codex_jax.sandbox.selftest import self_test
from tests.sandbox.attacks import CATEGORIES, CONTROLS

ROOT = Path(__file__).parents[2]
NOBODY = 65534
PROBE = "import sys; from codex_jax.sandbox.pool import SandboxWorker; SandboxWorker(sys.argv[1]).close()"
PLACES = f"{ROOT}:{sysconfig.get_path('purelib')}"
# These must be ended by a time limit, not by an error in the program.
TIMED = ("time/loop", "time/sleep", "time/loop_in_c", "time/threads", "time/loop_that_catches", "time/deadlock")


def start(python: str, user: int, *args: str) -> subprocess.CompletedProcess[str]:
    own = {} if user == os.geteuid() else {"user": user, "group": user, "extra_groups": []}
    command = [python, "-B", "-s", *args]
    environment = {"PYTHONPATH": PLACES, "PATH": os.defpath, "HOME": "/tmp"}
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, **own)


@functools.cache
def python_of(user: int) -> str | None:
    """A Python that this user may run, in which the package and the tests can be imported."""
    for python in dict.fromkeys((sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")):
        try:
            if start(python, user, "-c", "import codex_jax.sandbox.pool, tests.sandbox.denied").returncode == 0:
                return python
        except OSError:
            continue
    return None


def users() -> list[int]:
    return [0, NOBODY] if os.geteuid() == 0 else [os.geteuid()]


@functools.cache
def attacked(layer: str, user: int) -> dict:
    python = python_of(user)
    if python is None:
        pytest.skip("no Python here that this user may run")
    tried = start(python, user, "-c", PROBE, layer)
    if tried.returncode:
        pytest.skip(tried.stderr.strip().splitlines()[-1])
    done = start(python, user, "-m", "tests.sandbox.attack_driver", layer)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def case(layer: str, user: int) -> Any:
    """One user per layer is enough for most changes; the others have the mark `attacks`."""
    default = users()[-1] if layer == "landlock" else users()[0]  # Landlock is meant for users without root
    return pytest.param(layer, user, marks=pytest.mark.slow if user == default else pytest.mark.attacks)


cases = pytest.mark.parametrize(
    ("layer", "user"), [case(layer.name, user) for layer in LAYERS for user in users()], ids=str
)


@cases
def test_no_attack_succeeds(layer, user):
    results = attacked(layer, user)["results"]
    attacks = {name: statuses for name, statuses in results.items() if not name.startswith("control/")}
    assert len(attacks) >= 60
    assert {name for name, (_, status, _) in attacks.items() if status == "passed"} == set()
    assert {name for name, (_, status, _) in attacks.items() if status == "the worker died"} == set()
    assert {name: attacks[name][1] for name in TIMED} == dict.fromkeys(TIMED, "timed out")


@cases
def test_right_programs_before_and_after_an_attack_pass(layer, user):
    results = attacked(layer, user)["results"]
    assert {name: row for name, row in results.items() if (row[0], row[2]) != ("passed", "passed")} == {}


@cases
def test_right_programs_of_many_kinds_pass(layer, user):
    results = attacked(layer, user)["results"]
    assert {name: results[f"control/{name}"][1] for name in CONTROLS} == dict.fromkeys(CONTROLS, "passed")


@cases
def test_attacks_change_and_leave_nothing(layer, user):
    outcome = attacked(layer, user)
    assert not outcome["changed"]
    assert outcome["marks"] == []
    assert outcome["children"] == []
    assert outcome["descriptors"] <= 0


def test_there_are_attacks_in_every_category():
    assert sum(map(len, CATEGORIES.values())) >= 60
    assert all(len(codes) >= 4 for codes in CATEGORIES.values())


def test_the_self_test_reports_escapes():
    """Without isolation its attempts succeed."""
    lines = dict(self_test("unsafe"))
    for name in ("reading another's file", "writing another's file", "a process of its own", "another program"):
        assert lines[name].startswith("FAILED"), name
    assert lines["a socket"].startswith("FAILED")
    assert lines["a right answer"] == lines["a wrong answer"] == lines["an endless loop"] == "ok"


def test_the_self_test_passes_here():
    assert [name for name, result in self_test() if result.startswith("FAILED")] == []


def test_the_error_names_what_the_kernel_refused(monkeypatch):
    hello = '{"layer": "", "refused": {"landlock": "EPERM"}}'
    monkeypatch.setattr("codex_jax.sandbox.pool.BOOT", f"print({hello!r})")
    with pytest.raises(InputError, match=r"landlock: EPERM.*--unsafe"):
        SandboxWorker()


FLOOD = """
import sys, tempfile, threading, time
from pathlib import Path
from codex_jax.sandbox.check import Check
from codex_jax.sandbox.pool import SandboxWorker

flood = '''def f():
    import threading, time
    threading.stack_size(32768)
    count = 0
    try:
        while True:
            threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
            count += 1
    except RuntimeError:
        return count
'''
# Runs in the checker: the program's threads live until the other worker's check is done.
test = '''def check(candidate):
    import pathlib, time
    assert candidate() > 10
    pathlib.Path({0!r}, "flooded").touch()
    while not pathlib.Path({0!r}, "done").exists():
        time.sleep(0.01)
'''
right_test = "def check(candidate):\\n    assert candidate() == 1\\n"
right = Check("def f():\\n    return 1\\n", "f", right_test, cpu_seconds=20.0)
first, second = SandboxWorker(sys.argv[1]), SandboxWorker(sys.argv[1])
with tempfile.TemporaryDirectory() as folder:
    results = []
    flooding = Check(flood, "f", test.format(folder), cpu_seconds=20.0)
    thread = threading.Thread(target=lambda: results.append(second.run(flooding)))
    thread.start()
    while thread.is_alive() and not Path(folder, "flooded").exists():
        time.sleep(0.01)
    results.append(first.run(right))
    Path(folder, "done").touch()
    thread.join()
first.close(), second.close()
print([result and result.status for result in results])
"""


@pytest.mark.parametrize("layer", [layer.name for layer in LAYERS if not layer.chroot])
def test_threads_of_one_program_do_not_stop_another_worker(layer):
    """Without root the kernel counts the threads of all workers' programs together."""
    python = python_of(users()[-1])
    if python is None or start(python, users()[-1], "-c", PROBE, layer).returncode:
        pytest.skip("this layer does not work here without root")
    done = start(python, users()[-1], "-c", FLOOD, layer)
    assert (done.stdout, done.stderr) == ("['passed', 'passed']\n", "")
