"""A warm fork server: for every sample one process for the program and one for its checker.

python -m codex_jax.execution.worker reads two messages a sample and writes an answer a line; see pool. The second
message, with the test, is read by the checker itself: the program is a fork of the worker and can search all of its
memory, so no test may ever have been there.
"""

import importlib
import json
import os
import select
import shutil
import signal
import tempfile
import time
from collections.abc import Callable
from typing import Any

from codex_jax.execution.checker import check
from codex_jax.execution.confine import (
    PR_SET_CHILD_SUBREAPER,
    Limits,
    confine,
    keep_descriptors,
    own_user,
    prctl,
    protect,
)
from codex_jax.execution.program import receive, serve

RECEIVE_SECONDS = 5.0  # for the checker to take its message
MAX_VERDICT = 4096  # bytes
READ = b"r"  # the checker has taken its message, and the next one on standard input is the worker's again

# Loaded once for all programs: it is faster, and a program may not be allowed to read this Python's files.
WARM = [
    "_strptime",
    "abc",
    "array",
    "ast",
    "base64",
    "bisect",
    "calendar",
    "cmath",
    "collections",
    "contextlib",
    "copy",
    "dataclasses",
    "datetime",
    "decimal",
    "difflib",
    "encodings.idna",
    "encodings.latin_1",
    "encodings.utf_16",
    "enum",
    "fractions",
    "functools",
    "hashlib",
    "heapq",
    "inspect",
    "io",
    "itertools",
    "json",
    "math",
    "numbers",
    "operator",
    "pprint",
    "queue",
    "random",
    "re",
    "statistics",
    "string",
    "struct",
    "textwrap",
    "time",
    "timeit",
    "traceback",
    "types",
    "typing",
    "unicodedata",
    "warnings",
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
    timeout, own = float(request["timeout"]), own_user()
    (calls_out, calls_in), (replies_out, replies_in), (verdict_out, verdict_in) = (os.pipe() for _ in range(3))

    def program() -> None:
        confine(Limits(cpu=int(timeout) + 1), scratch, {calls_out, replies_in}, own)
        serve(request["prompt"] + request["completion"], request["entry_point"], calls_out, replies_in)

    def checker() -> None:
        test = json.loads(receive(0))
        os.write(verdict_in, READ)
        keep_descriptors({calls_in, replies_out, verdict_in})
        text = check(test["prompt"], test["canonical_solution"], test["test"], calls_in, replies_out)
        os.write(verdict_in, text.encode("utf-8", "replace")[:MAX_VERDICT])

    pids = [fork(program), fork(checker)]
    deadline = time.monotonic() + timeout
    for descriptor in (calls_out, calls_in, replies_out, replies_in, verdict_in):
        os.close(descriptor)
    try:
        # The program holds no end of this pipe, so what is read here is the checker's.
        if not select.select([verdict_out], [], [], RECEIVE_SECONDS)[0] or os.read(verdict_out, 1) != READ:
            raise RuntimeError("the checker did not take its message")
        ready, _, _ = select.select([verdict_out], [], [], max(0.0, deadline - time.monotonic()))
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
    """Serves until standard input ends; dies where the two sides are out of step, and is then replaced."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    protect()
    for name in WARM:
        importlib.import_module(name)
    while True:
        try:
            request = json.loads(receive(0))  # not sys.stdin, whose buffer would take the checker's message too
        except EOFError:
            return
        scratch = tempfile.mkdtemp(prefix="codex-jax-")
        if os.geteuid() == 0:
            os.chown(scratch, own_user(), own_user())
        began = time.monotonic()
        try:
            result = run(request, scratch)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        print(json.dumps({"result": result, "seconds": time.monotonic() - began}), flush=True)


if __name__ == "__main__":
    main()
