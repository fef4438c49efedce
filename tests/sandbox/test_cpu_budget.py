import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.pool import SandboxWorker
from tests.sandbox.checks import statuses

BUSY = """
import time
from codex_jax.sandbox.cpu_budget import CheckTimeout, CpuBudget
budget = CpuBudget()
budget.seconds = 0.1
def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass
"""


def run(code):
    return subprocess.run([sys.executable, "-c", BUSY + code], capture_output=True, text=True, check=False)


def test_time_before_the_start_and_after_the_end_is_free():
    done = run("spin(0.2); budget.start(); budget.start(); budget.stop(); spin(2.5); print(budget.expired)")
    assert (done.stdout, done.returncode) == ("False\n", 0)


def test_the_limit_raises_an_exception_and_may_move():
    code = "budget.start(); budget.extend(0.3); spin(0.2); print('still')\ntry: spin(9)\n"
    code += "except CheckTimeout: print(budget.expired)\nbudget.stop(); print(budget.expired)"
    assert run(code).stdout == "still\nTrue\nFalse\n"


@pytest.mark.parametrize(
    "busy", ["sum(range(1 << 40))", "\nwhile True:\n    try: spin(9)\n    except BaseException: pass"]
)
def test_the_kernel_ends_what_does_not_stop(busy):
    assert run(f"budget.start()\n{busy}").returncode == -signal.SIGXCPU


DOUBLING = """import json, os, struct
def f():
    nodes = [["tuple", []]] + [["tuple", [[n], [n]]] for n in range(60)]
    m = json.dumps(["value", nodes]).encode()
    os.write(4, struct.pack("<I", len(m)) + m)
"""
RIGHT = Check("def f():\n    return 1\n", "f", "def check(candidate):\n    assert candidate() == 1\n")


def test_an_answer_that_keeps_c_code_busy_is_charged_to_the_program():
    """It is no dead worker: it runs once, and the next check has a new worker."""
    test = "def check(candidate):\n    import pathlib\n    with pathlib.Path({!r}).open('a') as log: log.write('x')\n"
    path = Path(f"/tmp/codex-jax-test-{os.getpid()}")
    busy = Check(DOUBLING, "f", test.format(str(path)) + "    hash(candidate())\n", cpu_seconds=0.2)
    try:
        assert statuses([busy, RIGHT], workers=1) == ["timed out", "passed"]
        assert path.read_text() == "x"
    finally:
        path.unlink(missing_ok=True)


def test_a_test_s_own_time_before_the_first_call_is_not_charged():
    spin = "    import time\n    end = time.process_time() + {}\n    while time.process_time() < end: pass\n"
    test = "def check(candidate):\n{}    candidate()\n{}"
    before = Check(RIGHT.program, "f", test.format(spin.format(1.1), ""), cpu_seconds=1.0)
    after = Check(RIGHT.program, "f", test.format("", spin.format(1.1)), cpu_seconds=1.0)
    assert statuses([before, after]) == ["passed", "timed out"]


def test_garbage_of_answers_is_freed_between_checks():
    """Each answer is a list that contains itself and 8 MB."""
    program = "def f():\n    x = [b'x' * 8_000_000]\n    x.append(x)\n    return x\n"
    worker = SandboxWorker()
    try:
        sizes = []
        for _ in range(20):
            result = worker.run(Check(program, "f", RIGHT.test, cpu_seconds=20.0))
            assert result.status == "failed: AssertionError"
            worker.run(RIGHT)  # answers only after the garbage is collected
            sizes.append(int(Path(f"/proc/{worker.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    finally:
        worker.close()
    assert sizes[-1] < sizes[2] + (16 << 20)
