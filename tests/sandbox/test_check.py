from dataclasses import replace

import pytest

from codex_jax.errors import InputError
from codex_jax.sandbox.check import Check, Policy
from codex_jax.sandbox.layers import LAYERS
from codex_jax.sandbox.pool import SandboxWorker
from tests.sandbox.checks import run_all, statuses

# A policy with one lower limit, and a program that exceeds it but not the default.
LOWER = {
    "memory": (Policy(memory=256 << 20), "    len(bytearray(300 << 20))\n"),
    "file_size": (Policy(file_size=1 << 10), "    open('f', 'wb').write(bytes(1 << 16))\n"),
    "scratch_size": (Policy(scratch_size=1 << 16), "    open('f', 'wb').write(bytes(1 << 20))\n"),
    "scratch_files": (Policy(scratch_files=9), "    for n in range(20):\n        open(f'f{n}', 'w').close()\n"),
    "processes": (
        Policy(processes=9),
        "    import threading, time\n    for _ in range(20):\n"
        "        threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n",
    ),
    "descriptors": (Policy(descriptors=99), "    k = [open(f'f{n}', 'w') for n in range(99)]\n"),
}


@pytest.mark.parametrize("name", LOWER)
def test_every_limit_of_a_policy_holds(name):
    """One worker thread runs both checks, with a new worker for the second policy."""
    policy, body = LOWER[name]
    test = "def check(candidate):\n    assert candidate() == 1\n"
    check = Check(f"def f():\n{body}    return 1\n", "f", test, cpu_seconds=20.0)
    allowed, denied = run_all([check, replace(check, policy=policy)], workers=1)
    assert allowed.status == "passed"
    assert denied.status.startswith("failed: ")


def test_setup_runs_in_the_checker_before_the_test():
    test = "def check(candidate):\n    assert candidate(2) == expected\n"
    program = "def f(x):\n    return x + 1\n"
    without_setup, with_setup, in_program = run_all(
        [
            Check(program, "f", test),
            Check(program, "f", test, setup="expected = 3\n"),
            Check("expected = 3\n" + program, "f", test),
        ]
    )
    assert with_setup.status == "passed"
    assert without_setup.status.startswith("failed: NameError")
    assert in_program.status.startswith("failed: NameError")


def test_a_worker_refuses_a_check_with_another_policy():
    worker = SandboxWorker()
    try:
        with pytest.raises(ValueError, match="the worker was started with"):
            worker.run(Check("", "f", "", policy=Policy(memory=1 << 20)))
    finally:
        worker.close()


def test_tests_can_import_installed_packages_and_programs_cannot():
    test = "import numpy\n\n\ndef check(candidate):\n    assert candidate() == 1\n"
    with_import = "def f():\n    import numpy\n    return 1\n"
    results = run_all([Check("def f():\n    return 1\n", "f", test), Check(with_import, "f", test)])
    assert results[0].status == "passed"
    assert results[1].status.startswith("failed: ModuleNotFoundError")


@pytest.fixture(params=[layer.name for layer in LAYERS])
def layer(request):
    try:
        SandboxWorker(request.param).close()
    except InputError as error:
        pytest.skip(str(error))
    return request.param


def test_programs_see_no_packages_inside_the_standard_library_s_folder(layer):
    body = """def f():
    import os
    for name in ("site-packages", "dist-packages"):
        try:
            names = os.listdir(os.path.join(os.path.dirname(os.__file__), name))
        except OSError:
            continue
        if names:
            return names
    return []
"""
    test = "def check(candidate):\n    names = candidate()\n    assert names == [], names\n"
    assert statuses([Check(body, "f", test)], layer=layer) == ["passed"]


def test_programs_never_run_as_root(layer):
    body = "def f():\n    import os\n    return [*os.getresuid(), *os.getresgid(), *os.getgroups()]\n"
    test = "def check(candidate):\n    ids = candidate()\n    assert 0 not in ids, ids\n"
    assert statuses([Check(body, "f", test)], layer=layer) == ["passed"]


def test_a_host_runs_the_program_as_a_module():
    program = "import sys, __main__\n\n\nclass Own:\n    pass\n\n\nhere = sys.modules[__name__]\n"
    host = "program = load(prelude='x = 2\\n')\n\n\ndef f():\n    return program.x, vars(program).get('f'), NAMES\n"
    host = host.replace("NAMES", "(program.here is program, program.__main__ is program, program.sys.argv)")
    test = "def check(candidate):\n    assert candidate() == (2, None, (True, True, ['candidate.py'])), candidate()\n"
    assert statuses([Check(program, "f", test, host=host)]) == ["passed"]


def test_a_program_is_the_module_that_its_own_classes_name():
    program = """
from __future__ import annotations
import inspect, pickle
from dataclasses import dataclass

@dataclass
class Node:
    value: int
    next: Node | None = None

def f(x):
    copy = pickle.loads(pickle.dumps(Node(x, Node(0))))
    return copy == Node(x, Node(0)), inspect.getsource(f).startswith("def f"), __name__, __file__
"""
    test = "def check(candidate):\n    assert candidate(1) == (True, True, 'candidate', 'candidate.py'), candidate(1)\n"
    assert statuses([Check(program, "f", test)]) == ["passed"]
