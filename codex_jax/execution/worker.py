"""A warm fork server: for every sample one process for the program and one for its checker.

python -m codex_jax.execution.worker reads a request a line and writes an answer a line; see pool.
"""

import importlib
import json
import os
import select
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from codex_jax.execution.checker import check
from codex_jax.execution.confine import (
    NOBODY,
    PR_SET_CHILD_SUBREAPER,
    Limits,
    confine,
    keep_descriptors,
    prctl,
    protect,
)
from codex_jax.execution.program import serve

MAX_VERDICT = 4096  # bytes

# Loaded once for all programs: it is faster, and nobody may not be able to read this Python's files.
WARM = [
    "bisect",
    "cmath",
    "collections",
    "copy",
    "datetime",
    "decimal",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "itertools",
    "json",
    "math",
    "operator",
    "queue",
    "random",
    "re",
    "statistics",
    "string",
    "textwrap",
    "time",
    "typing",
    "unicodedata",
]


def fork(body: Callable[[], None]) -> int:
    """Runs body in a child that never returns here; -> its process id."""
    child = os.fork()
    if child:
        return child
    try:
        body()
    except BaseException:
        os._exit(1)
    os._exit(0)


def run(request: dict[str, Any], scratch: str) -> str:
    """The verdict on one sample: "passed", "timed out" or "failed: REASON"."""
    timeout = float(request["timeout"])
    (calls_out, calls_in), (replies_out, replies_in), (verdict_out, verdict_in) = (os.pipe() for _ in range(3))

    def program() -> None:
        confine(Limits(cpu=int(timeout) + 1), scratch, {calls_out, replies_in})
        serve(request["prompt"] + request["completion"], request["entry_point"], calls_out, replies_in)

    def checker() -> None:
        keep_descriptors({calls_in, replies_out, verdict_in})
        text = check(request["prompt"], request["canonical_solution"], request["test"], calls_in, replies_out)
        os.write(verdict_in, text.encode("utf-8", "replace")[:MAX_VERDICT])

    pids = [fork(checker), fork(program)]
    for descriptor in (calls_out, calls_in, replies_out, replies_in, verdict_in):
        os.close(descriptor)
    try:
        # The program holds no end of this pipe, so what is read here is the checker's.
        ready, _, _ = select.select([verdict_out], [], [], timeout)
        if not ready:
            return "timed out"
        return os.read(verdict_out, MAX_VERDICT).decode("utf-8", "replace") or "failed: checker ended"
    finally:
        os.close(verdict_out)
        end(pids)


def end(pids: list[int]) -> None:
    """Kills these, their groups and whatever they left behind; orphans come to us, as we are their subreaper."""
    while pids:
        for pid in pids:
            for kill in (os.killpg, os.kill):
                # Not a group of its own yet, or gone.
                try:
                    if kill is os.kill or os.getpgid(pid) == pid:
                        kill(pid, signal.SIGKILL)
                except OSError:
                    continue
        for pid in pids:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                continue
        with open(f"/proc/self/task/{os.getpid()}/children") as file:
            pids = [int(pid) for pid in file.read().split()]


def main() -> None:
    """Serves until standard input ends."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    protect()
    for name in WARM:
        importlib.import_module(name)
    for line in sys.stdin:
        request = json.loads(line)
        scratch = tempfile.mkdtemp(prefix="codex-jax-")
        if os.geteuid() == 0:
            os.chown(scratch, NOBODY, NOBODY)
        began = time.monotonic()
        try:
            result = run(request, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        print(json.dumps({"result": result, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
