"""The sandbox's self-test (python -m codex_jax.score --check): a few attempts to escape, all of which must fail."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.layers import LAYER_OF
from codex_jax.sandbox.pool import SandboxWorker

CPU_SECONDS = 1.0
HEADER = "def f(x):\n"
RIGHT = "    return x + 1\n"
TEST = "def check(candidate):\n    assert candidate(1) == 2\n"

# Each raises an exception in a working sandbox. The program then returns the right answer and passes.
ESCAPES = {
    "reading another's file": "open(SECRET).read()",
    "writing another's file": "open(SECRET, 'w')",
    "listing the machine's home folders": "os.listdir('/home' if os.path.isdir('/home') else '/root')",
    "a signal to its parent": "os.kill(os.getppid(), 0)",
    "a process of its own": "os._exit(0) if os.fork() else os._exit(0)",
    "another program": "os.execv('/bin/true', ['true'])",
    "a socket": "__import__('socket').socket()",
    "8 GiB of memory": "bytearray(1 << 33)",
    "tracing its parent": "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 or 1 / 0",
    "a mount": "ctypes.CDLL(None).mount(b'none', b'/', b'tmpfs', 0, None) == 0 or 1 / 0",
}
# name: (body of f, expected status)
EXPECTED_STATUSES = {
    "a right answer": (RIGHT, "passed"),
    "a wrong answer": ("    return x\n", "failed: AssertionError"),
    "exit code 0": ("    import os\n    os._exit(0)\n", "failed: ProgramError: program ended"),
    "a value equal to everything": (
        "    class A(int):\n        __eq__ = lambda self, other: True\n    return A(7)\n",
        "failed: AssertionError",
    ),
    "an endless loop": ("    while True:\n        pass\n", "timed out"),
    "a right answer after all that": (RIGHT, "passed"),
}


def _escape(code: str, secret: Path) -> str:
    """The body of a function that runs code, which must raise an exception."""
    return (
        f"    import ctypes, os\n    SECRET = {str(secret)!r}\n    try:\n        {code}\n"
        "    except Exception:\n        return x + 1\n    return 'done'\n"
    )


def self_test(layer: str = "auto") -> Iterator[tuple[str, str]]:
    """Yields (name, text) lines: the layer in use, why better ones do not work, and "ok" or "FAILED: ..." per attempt.

    Raises InputError if no layer works here.
    """
    worker = SandboxWorker(layer)
    try:
        yield "layer", f"{worker.layer}: {LAYER_OF[worker.layer].text}"
        for name, reason in worker.refused.items():
            yield f"not {name}", reason
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            secret = Path(folder, "secret")
            secret.write_text("secret")
            secret.chmod(0o666)
            for name, code in ESCAPES.items():
                yield name, _run(worker, _escape(code, secret), "passed")
            if secret.read_text() != "secret":
                yield "another's file", "FAILED: it was changed"
        for name, (body, expected) in EXPECTED_STATUSES.items():
            yield name, _run(worker, body, expected)
    finally:
        worker.close()


def _run(worker: SandboxWorker, body: str, expected: str) -> str:
    result = worker.run(Check(HEADER + body, "f", TEST, cpu_seconds=CPU_SECONDS))
    status = result.status if result else "the worker died"
    return "ok" if status == expected else f"FAILED: {status}"
