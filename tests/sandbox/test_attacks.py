"""Every attack in every layer that this machine can make, as root and as nobody: each layer once, or all with -m ""."""

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
PLACES = f"{ROOT}:{sysconfig.get_path('purelib')}"
# A time limit must end these, not a mistake of the program's.
TIMED = ("time/loop", "time/sleep", "time/loop_in_c", "time/threads", "time/loop_that_catches", "time/deadlock")


def start(python: str, user: int, *args: str) -> subprocess.CompletedProcess[str]:
    own = {} if user == os.geteuid() else {"user": user, "group": user, "extra_groups": []}
    command = [python, "-B", "-s", *args]
    environment = {"PYTHONPATH": PLACES, "PATH": os.defpath, "HOME": "/tmp"}
    return subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=False, **own)


@functools.cache
def python_of(user: int) -> str | None:
    """A Python that this user may run, with our package and what it imports."""
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
    probe = "import sys; from codex_jax.sandbox.pool import SandboxWorker; SandboxWorker(sys.argv[1]).close()"
    tried = start(python, user, "-c", probe, layer)
    if tried.returncode:
        pytest.skip(tried.stderr.strip().splitlines()[-1])
    done = start(python, user, "-m", "tests.sandbox.attack_driver", layer)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def case(layer: str, user: int) -> Any:
    """Where we are root, one user of each layer is enough for most changes."""
    once = users()[0] if layer != "landlock" else users()[-1]  # it is for those who are not root
    return pytest.param(layer, user, marks=() if user == once else pytest.mark.attacks)


cases = pytest.mark.parametrize(
    ("layer", "user"), [case(layer.name, user) for layer in LAYERS for user in users()], ids=str
)


@cases
def test_no_attack_has_its_way(layer, user):
    results = attacked(layer, user)["results"]
    attacks = {name: found for name, found in results.items() if not name.startswith("control/")}
    assert len(attacks) >= 60
    assert {name: found[1] for name, found in attacks.items() if found[1] == "passed"} == {}
    assert {name: found[1] for name, found in attacks.items() if found[1] == "the worker died"} == {}
    assert {name: found[1] for name, found in attacks.items() if name in TIMED and found[1] != "timed out"} == {}


@cases
def test_the_samples_around_an_attack_pass(layer, user):
    results = attacked(layer, user)["results"]
    assert {name: found for name, found in results.items() if found[0] != "passed" or found[2] != "passed"} == {}


@cases
def test_what_is_right_passes(layer, user):
    results = attacked(layer, user)["results"]
    assert {name: results[f"control/{name}"][1] for name in CONTROLS} == dict.fromkeys(CONTROLS, "passed")


@cases
def test_nothing_is_changed_or_left(layer, user):
    found = attacked(layer, user)
    assert not found["changed"]
    assert found["marks"] == []
    assert found["children"] == []
    assert found["descriptors"] <= 0


def test_there_are_attacks_in_every_category():
    assert sum(map(len, CATEGORIES.values())) >= 60
    assert all(len(codes) >= 4 for codes in CATEGORIES.values())


def test_the_self_test_sees_what_is_not_kept_in():
    """Where nothing keeps programs in, its attempts are no empty ones."""
    found = dict(self_test("unsafe"))
    for name in ("reading another's file", "writing another's file", "a process of its own", "another program"):
        assert found[name].startswith("FAILED"), name
    assert found["a socket"].startswith("FAILED")
    assert found["a right answer"] == found["a wrong answer"] == found["an endless loop"] == "ok"


def test_the_self_test_passes_here():
    found = dict(self_test())
    assert [name for name, result in found.items() if result.startswith("FAILED")] == []


def test_a_layer_that_is_missing_is_named(monkeypatch):
    hello = '{"layer": "", "refused": {"landlock": "EPERM"}}'
    monkeypatch.setattr("codex_jax.sandbox.pool.BOOT", f"print({hello!r})")
    with pytest.raises(InputError, match=r"landlock: EPERM.*--unsafe"):
        SandboxWorker()
