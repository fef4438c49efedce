"""What python -m codex_jax.score --check runs: a few attempts to get out, each of which must fail here."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.layers import NAMED
from codex_jax.sandbox.pool import SandboxWorker

TIMEOUT = 1.0  # seconds
PROMPT = "def f(x):\n"
RIGHT = "    return x + 1\n"
TEST = "def check(candidate):\n    assert candidate(1) == 2\n"

# Each goes wrong in a sandbox, and then returns what is right; so it passes where it is kept in.
TRIED = {
    "reading another's file": "open(SECRET).read()",
    "writing beside its folder": "open(SECRET, 'w')",
    "listing the machine's root for a home": "os.listdir('/home' if os.path.isdir('/home') else '/root')",
    "a signal to its parent": "os.kill(os.getppid(), 0)",
    "a process of its own": "os._exit(0) if os.fork() else os._exit(0)",
    "another program": "os.execv('/bin/true', ['true'])",
    "a socket": "__import__('socket').socket()",
    "2 GiB of memory": "bytearray(1 << 31)",
    "tracing its parent": "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 or 1 / 0",
    "a mount, by the kernel's number": "ctypes.CDLL(None).mount(b'none', b'/', b'tmpfs', 0, None) == 0 or 1 / 0",
}
# name: program, the result it must have
ENDED = {
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


def attempt(code: str, secret: Path) -> str:
    """The program that tries this."""
    return (
        f"    import ctypes, os\n    SECRET = {str(secret)!r}\n    try:\n        {code}\n"
        "    except Exception:\n        return x + 1\n    return 'done'\n"
    )


def self_test(layer: str = "auto") -> Iterator[tuple[str, str]]:
    """First ("layer", what this machine has), then each thing tried and "kept in" or what went wrong."""
    worker = SandboxWorker(layer)
    try:
        yield "layer", f"{worker.layer}: {NAMED[worker.layer].text}"
        for name, why in worker.refused.items():
            yield f"not {name}", why
        with tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            secret = Path(folder, "secret")
            secret.write_text("secret")
            secret.chmod(0o666)
            for name, code in TRIED.items():
                result = _run(worker, attempt(code, secret))
                yield name, "kept in" if result == "passed" else f"not kept in: {result}"
            if secret.read_text() != "secret":
                yield "another's file", "not kept in: it was changed"
        for name, (code, expected) in ENDED.items():
            result = _run(worker, code)
            yield name, "kept in" if result == expected else f"not kept in: {result}"
    finally:
        worker.close()


def _run(worker: SandboxWorker, body: str) -> str:
    result = worker.run(Check(PROMPT + body, "f", TEST, cpu_seconds=TIMEOUT))
    return result.status if result else "the worker died"
