import os
from pathlib import Path

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.pool import SandboxWorker
from tests.sandbox.checks import run_all

BUSY = "    import time\n    time.sleep({})\n    while time.process_time() < {}:\n        pass\n    return x\n"


def check(body, cpu_seconds=3.0):
    test = "def check(candidate):\n    assert candidate(1) == 1\n"
    return Check("def f(x):\n" + body, "f", test, cpu_seconds=cpu_seconds)


def test_the_limit_is_cpu_time():
    """Programs that take longer than the limit by the clock, four per CPU, pass if their CPU time is below it."""
    count = 4 * (os.cpu_count() or 1)
    results = run_all([check(BUSY.format(1.2, 0.3), cpu_seconds=1.0)] * count, workers=count)
    assert [result.status for result in results] == ["passed"] * count
    assert all(0.3 <= result.cpu_seconds <= 1.0 for result in results)


def test_a_program_slightly_over_the_limit_times_out():
    results = run_all([check(BUSY.format(0, 0.6), cpu_seconds=0.5)] * 2)
    assert [result.status for result in results] == ["timed out"] * 2


def test_a_program_that_only_waits_times_out():
    (result,) = run_all([check("    import time\n    time.sleep(600)\n", cpu_seconds=0.2)], workers=1)
    assert result.status == "timed out"
    assert result.cpu_seconds < 0.2


def test_many_checks_leak_no_descriptors_and_no_memory():
    """Neither in the checker's process nor in the fork server's."""
    worker = SandboxWorker()
    try:
        for turn in range(2):
            for _ in range(200):
                assert worker.run(check("    return x\n")) is not None
            pids = [worker.pid, *children(worker.pid)]
            state = [(len(os.listdir(f"/proc/{pid}/fd")), resident(pid)) for pid in pids]
            if not turn:
                first = state
    finally:
        worker.close()
    assert [fds for fds, _ in state] == [fds for fds, _ in first]
    for (_, before), (_, after) in zip(first, state, strict=True):
        assert after < before + (2 << 20)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
