"""One worker: the checker's process, with a fork server of its own for programs.

It reads a message a sample from standard input and writes an answer a line; see pool. The server is forked before the
first message, so no test is ever in the memory that programs are forked from.
"""

import contextlib
import gc
import json
import os
import resource
import signal
import site
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from codex_jax.sandbox import namespaces
from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.checker import raise_when_overdue, reason, run_test
from codex_jax.sandbox.confine import protect
from codex_jax.sandbox.layers import Layer, ladder, own_user
from codex_jax.sandbox.libc import PR_SET_CHILD_SUBREAPER, prctl
from codex_jax.sandbox.program import receive, send
from codex_jax.sandbox.server import MAX_MESSAGE, prepare, serve_programs
from codex_jax.sandbox.wire import encode

CHECKER_MEMORY = 3 << 30  # bytes: an answer may be made so that it takes much more memory than its message
LATE = 2.0  # seconds that a check may go on after its program was stopped
REASONS = {"time": "timed out", "wall": "timed out", "disk": "failed: too much in its scratch folder"}


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


def start_server(layer: Layer, policy: Policy) -> socket.socket:
    """A channel to a new fork server in this layer; OSError says what is refused."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    root, ready = os.geteuid() == 0, prepare(layer, policy)

    def body() -> None:
        ours.close()
        serve_programs(theirs, layer, policy, own if root and not layer.namespaces else None, ready)

    own = own_user()  # by our process id, not the child's
    try:
        if layer.namespaces:
            namespaces.start(body, ready.read, own if root else os.geteuid())
        else:
            fork(body)
        theirs.close()
        refused = json.loads(ours.recv(MAX_MESSAGE) or b'{"refused": "the server ended"}').get("refused")
        if refused is not None:
            raise OSError(refused)
    except BaseException:
        ours.close()
        theirs.close()
        raise
    return ours


def choose(wanted: str, policy: Policy) -> tuple[str, socket.socket | None, dict[str, str]]:
    """(the best layer's name, its server's channel, what better ones were refused), or ("", None, refusals)."""
    refused = {}
    for layer in ladder(wanted):
        if layer.chroot and os.geteuid():
            refused[layer.name] = "needs root"
            continue
        try:
            return layer.name, start_server(layer, policy), refused
        except OSError as error:
            refused[layer.name] = error.strerror or str(error)
    return "", None, refused


def run_check(request: dict[str, Any], channel: socket.socket) -> dict[str, Any]:
    """Runs one check; returns the fields of its Result."""
    calls_out, calls_in = os.pipe()
    replies_out, replies_in = os.pipe()
    limits = {"cpu_seconds": request["cpu_seconds"], "wall_seconds": request["wall_seconds"]}
    socket.send_fds(channel, [json.dumps(limits).encode()], [calls_out, replies_in])
    os.close(calls_out)
    os.close(replies_in)
    try:
        signal.setitimer(signal.ITIMER_REAL, request["wall_seconds"] + LATE)
        with contextlib.suppress(OSError):  # it is gone already, and the check will see that
            send(calls_in, encode((request["program"], request["entry_point"])))
        status = run_test(request["setup"], request["test"], calls_in, replies_out, request["cpu_seconds"])
    except BaseException as error:
        status = reason(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        os.close(calls_in)
        os.close(replies_out)
    channel.send(b"done")
    outcome = json.loads(channel.recv(MAX_MESSAGE))
    return {"status": REASONS.get(outcome["stopped"], status), "cpu_seconds": outcome["cpu_seconds"]}


def main(wanted: str, policy: str) -> None:
    """Says which layer it has, then serves until standard input ends."""
    sys.dont_write_bytecode = True  # ours was, once; no program is to try
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    with contextlib.suppress(
        OSError
    ):  # where the machine runs out of memory, a program goes first, and we before others
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # for tests that print
    name, channel, refused = choose(wanted, Policy(**json.loads(policy)))
    print(json.dumps({"layer": name, "refused": refused}), file=answers)
    if channel is None:
        return
    protect()
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (CHECKER_MEMORY, hard))
    site.main()  # tests may use what is installed; programs may not
    raise_when_overdue()
    gc.freeze()  # so that no collection goes through all that is loaded
    while True:
        try:
            request = json.loads(receive(0))
        except EOFError:
            break
        print(json.dumps(run_check(request, channel)), file=answers)
    channel.close()
    _wait()


def _wait() -> None:
    """For the server, which takes its scratch folder away."""
    try:
        while True:
            os.wait()
    except ChildProcessError:
        return
