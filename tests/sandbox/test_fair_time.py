import os
import time
from pathlib import Path

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.pool import WALL, SandboxWorker
from tests.sandbox.checks import run_all

BUSY = "    import time\n    while time.process_time() < {}:\n        pass\n    return x\n"


def check(body, cpu_seconds=3.0):
    test = "def check(candidate):\n    assert candidate(1) == 1\n"
    return Check("def f(x):\n" + body, "f", test, cpu_seconds=cpu_seconds)


def test_the_limit_is_cpu_time():
    """Four a CPU, each three quarters of the limit: by the clock all would be late."""
    count = 4 * (os.cpu_count() or 1)
    began = time.monotonic()
    found = run_all([check(BUSY.format(0.3), 0.4)] * count, workers=count)
    assert [result.status for result in found] == ["passed"] * count
    assert time.monotonic() - began > 0.4
    assert all(0.3 <= result.cpu_seconds <= 0.4 for result in found)


def test_a_little_too_much_is_too_much():
    found = run_all([check(BUSY.format(0.6), 0.5)] * 2)
    assert [result.status for result in found] == ["timed out"] * 2


def test_the_clock_ends_what_only_waits():
    began = time.monotonic()
    (result,) = run_all([check("    import time\n    time.sleep(60)\n", 0.2)], workers=1)
    assert result.status == "timed out"
    assert 0.2 * WALL <= time.monotonic() - began < 20
    assert result.cpu_seconds < 0.2


def test_many_samples_leave_the_worker_as_it_was():
    """Descriptors and memory of the checker's process and of the server's."""
    worker = SandboxWorker()
    try:
        for turn in range(2):
            for _ in range(200):
                assert worker.run(check("    return x\n")) is not None
            pids = [worker.pid, *children(worker.pid)]
            found = [(len(os.listdir(f"/proc/{pid}/fd")), resident(pid)) for pid in pids]
            if not turn:
                first = found
    finally:
        worker.close()
    assert [fds for fds, _ in found] == [fds for fds, _ in first]
    for (_, before), (_, after) in zip(first, found, strict=True):
        assert after < before + (2 << 20)


def children(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def resident(pid):
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
