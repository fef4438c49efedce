"""A worker process: the checker, with a fork server for programs as its child.

It reads requests from standard input and writes one line of JSON per result; see pool.py. The fork server starts before
the first request, so programs never inherit memory that contains a test.
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
from pathlib import Path
from typing import Any, TextIO

from codex_jax.sandbox.check import TIMED_OUT, Policy
from codex_jax.sandbox.checker import run_test, status_of
from codex_jax.sandbox.checker_files import restrict_files
from codex_jax.sandbox.cpu_budget import CpuBudget
from codex_jax.sandbox.fork_server import MAX_MESSAGE, MORE, MORE_CPU, MORE_WALL, serve_programs
from codex_jax.sandbox.imports import FOLDER, prepare_imports
from codex_jax.sandbox.layers import Layer, candidate_layers
from codex_jax.sandbox.libc import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, prctl
from codex_jax.sandbox.namespaces import start_in_namespaces
from codex_jax.sandbox.preload import allow_packages
from codex_jax.sandbox.restrictions import ServerConfig, max_tasks, may_chroot
from codex_jax.sandbox.wire import Pipe, dump

CHECKER_MEMORY = 3 << 30  # bytes; a hostile answer may take much more memory than its message
EXTRA_SECONDS = 2.0  # wall-clock seconds for which a test may continue after its program is stopped
COLLECT = 1 << 20  # bytes of answers after which garbage is collected; values take up to 30 times as much memory
STATUSES = {"time": TIMED_OUT, "disk": "failed: too much in its scratch folder"}  # by exceeded limit
FIRST_USER, USERS = 61_184, 4_335  # unassigned user ids: systemd's range for dynamic users


def start_server(layer: Layer, policy: Policy, packages: dict[str, str]) -> socket.socket:
    """Starts a fork server in this layer and returns a channel to it. Raises OSError that names what is refused.

    packages: those of the policy, from find_packages.
    """
    channel, server_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    is_root = os.geteuid() == 0
    # A user id that no other live worker has, so that programs of two workers cannot signal each other.
    user = FIRST_USER + os.getpid() % USERS if is_root else os.geteuid()
    readable = {str(path): str(path) for path in prepare_imports(from_files=layer.namespaces)}
    if layer.namespaces:
        readable |= {f"{FOLDER}/{name}": path for name, path in packages.items()}
    config = ServerConfig(
        layer,
        policy,
        packages,
        user if is_root and not layer.namespaces else None,
        layer.chroot or (layer.landlock and may_chroot()),
        readable,
        max_tasks(policy),
    )

    def serve() -> None:
        channel.close()
        serve_programs(server_end, config)

    try:
        if layer.namespaces:
            start_in_namespaces(serve, config.readable, user)
        elif not os.fork():
            try:
                serve()
            finally:
                os._exit(0)  # never return into the caller's code
        server_end.close()
        refused = json.loads(channel.recv(MAX_MESSAGE) or b'{"refused": "the server ended"}').get("refused")
        if refused is not None:
            raise OSError(refused)
    except BaseException:
        channel.close()
        server_end.close()
        raise
    return channel


def choose_layer(
    name: str, policy: Policy, packages: dict[str, str]
) -> tuple[str, socket.socket | None, dict[str, str]]:
    """Starts a fork server in the best layer that works; name: "auto", or the only layer to try.

    Returns (layer's name, channel to the server, why better layers do not work), or ("", None, why none works).
    """
    refused = {}
    for layer in candidate_layers(name):
        if layer.chroot and os.geteuid():
            refused[layer.name] = "needs root"
            continue
        try:
            return layer.name, start_server(layer, policy, packages), refused
        except OSError as error:
            refused[layer.name] = error.strerror or str(error)
    return "", None, refused


def run_check(request: dict[str, Any], channel: socket.socket, budget: CpuBudget, answers: TextIO) -> int:
    """Runs one check and prints the fields of its Result; returns the number of bytes that the program sent."""
    calls_out, calls_in = os.pipe()
    replies_out, replies_in = os.pipe()
    limits = {"cpu_limit": request["cpu_seconds"], "wall_limit": request["wall_seconds"]}
    socket.send_fds(channel, [json.dumps(limits).encode()], [calls_out, replies_in])
    os.close(calls_out)
    os.close(replies_in)
    pipe = Pipe(replies_out, calls_in)

    def on_many() -> None:
        """Allows more time, because messages take time that the program would not take in the test's own process."""
        channel.send(MORE)
        budget.extend(MORE_CPU)
        signal.setitimer(signal.ITIMER_REAL, signal.getitimer(signal.ITIMER_REAL)[0] + MORE_WALL)
        print("{}", file=answers)

    try:
        budget.seconds = request["cpu_seconds"]
        signal.setitimer(signal.ITIMER_REAL, request["wall_seconds"] + EXTRA_SECONDS)
        with contextlib.suppress(OSError):  # the program has ended, which run_test will notice
            pipe.send(dump(["program", request["program"], request["host"], request["entry_point"]]))
        status = run_test(request["setup"], request["test"], pipe, budget, on_many)
    except BaseException as error:
        status = status_of(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        budget.stop()
        os.close(calls_in)
        os.close(replies_out)
    channel.send(b"done")
    outcome = json.loads(channel.recv(MAX_MESSAGE))
    status = STATUSES.get(outcome["exceeded"], status)
    print(json.dumps({"status": status, "cpu_seconds": outcome["cpu_seconds"]}), file=answers)
    return pipe.received


def main(layer: str, policy: str, found: str) -> None:
    """Reports the layer in use, then runs checks until standard input ends.

    policy, found: the Policy's fields and its packages, from find_packages, as JSON.
    """
    sys.dont_write_bytecode, packages = True, json.loads(found)
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    with contextlib.suppress(OSError):  # if memory runs out, the kernel should kill these processes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # tests may print
    name, channel, refused = choose_layer(layer, Policy(**json.loads(policy)), packages)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()  # the server
    print(json.dumps({"layer": name, "refused": refused, "children": [*map(int, children)]}), file=answers)
    if channel is None:
        return
    prctl(PR_SET_DUMPABLE, 0)  # programs of the same user cannot trace this process or write its memory
    hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
    resource.setrlimit(resource.RLIMIT_DATA, (CHECKER_MEMORY, hard))
    site.main()  # tests may import installed packages; programs may not
    if packages:
        allow_packages(packages)
    restrict_files(packages.values())
    budget, requests, received = CpuBudget(), Pipe(0, 1), 0
    gc.freeze()  # garbage collection then skips all objects loaded so far
    with contextlib.suppress(EOFError):
        while True:
            received += run_check(json.loads(requests.receive()), channel, budget, answers)
            if received > COLLECT:  # answers may be garbage that only the collector finds
                received = 0
                gc.collect()
    channel.close()
    with contextlib.suppress(ChildProcessError):  # wait for the server, which deletes its scratch folder
        while True:
            os.wait()
