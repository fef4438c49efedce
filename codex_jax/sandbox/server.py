"""The fork server: warm, in the layer's namespaces, it forks a confined process a program and watches its time.

It never holds a program or a test, as each program is a fork of it and can search all of its memory: a program reads
its own source from its pipe.
"""

import contextlib
import gc
import json
import os
import random
import select
import signal
import socket
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.confine import CALLS, REPLIES, Confinement, protect
from codex_jax.sandbox.landlock import readable, shared_libraries
from codex_jax.sandbox.layers import Layer, keep_descriptors
from codex_jax.sandbox.libc import PR_SET_CHILD_SUBREAPER, fork, prctl
from codex_jax.sandbox.library import Kept, warm
from codex_jax.sandbox.program import serve
from codex_jax.sandbox.rlimits import cpu_seconds, set_limits, tasks_of_user
from codex_jax.sandbox.scratch import FolderScratch, MountedScratch, look_at_descriptors

MAX_MESSAGE = 4096
OTHERS = 256  # more of the user's own, where programs have no other user
CPUS = os.cpu_count() or 1
SHORTEST = 0.002  # seconds between looks at a program


@dataclass(frozen=True)
class Outcome:
    """seconds: CPU time of the program; stopped: "", or which limit it broke."""

    seconds: float
    stopped: str


@dataclass(frozen=True)
class Ready:
    """read: what programs may read; others: processes and threads of the programs' user that are not theirs."""

    read: list[Path]
    others: int


class ForkServer:
    """One worker's; user: the programs' own, or None where they have ours or that of the namespace."""

    def __init__(self, layer: Layer, policy: Policy, user: int | None, ready: Ready) -> None:
        self._layer = layer
        self._scratch: MountedScratch | FolderScratch = (
            MountedScratch(policy) if layer.namespaces else FolderScratch(policy, user)
        )
        try:
            set_limits(policy, ready.others)  # ours too, as they are inherited
            self._confinement = Confinement(layer, user, ready.read)
            if not self._try() and not layer.namespaces:
                self._confinement = Confinement(layer, user, ready.read, counted=False)
                self._try()
        except BaseException:
            self._scratch.close()
            raise

    def close(self) -> None:
        """Leaves nothing behind."""
        self._scratch.close()

    def _try(self) -> bool:
        """Of a process that only confines itself, whether we can look at its descriptors; OSError: what was refused."""
        self._scratch.renew()
        told_out, told_in = os.pipe()
        pid = os.fork()
        if not pid:
            try:
                self._confinement.lay(1, self._scratch.path, told_out, told_in)
                os.write(REPLIES, b"confined")
                signal.pause()  # until it is killed
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.write(told_in, str(error).encode())
            os._exit(0)
        os.close(told_in)
        message = os.read(told_out, 1000)
        os.close(told_out)
        try:
            counted = bool(list(look_at_descriptors(pid)))
        except OSError:
            counted = False
        self._end(pid)
        if message != b"confined":
            raise OSError(message.decode("utf-8", "replace") or "the process ended at once")
        return counted

    def run(self, channel: socket.socket, timeout: float, wall: float, pipes: list[int]) -> Outcome:
        """Forks a program onto these pipes and watches it until the channel has a message: its checker is done."""
        self._scratch.renew()
        pid = fork()
        if not pid:
            self._program(timeout, pipes)
        for descriptor in pipes:
            os.close(descriptor)
        stopped = self._watch(pid, channel, timeout, wall)
        usage = self._end(pid)
        if self._scratch.every:
            self._scratch.renew()  # now, and not on the next one's time, as a program may have left very much
        if not stopped and usage > timeout:
            stopped = "time"
        return Outcome(usage, stopped)

    def _program(self, timeout: float, pipes: list[int]) -> None:
        try:
            self._confinement.lay(timeout, self._scratch.path, *pipes)
            random.seed()
            gc.enable()
            serve(CALLS, REPLIES)
        finally:
            os._exit(1)

    def _watch(self, pid: int, channel: socket.socket, timeout: float, wall: float) -> str:
        """Which limit was broken, if any; its CPU time cannot grow faster than all CPUs let it."""
        deadline = time.monotonic() + wall
        while True:
            cpu_left, wall_left = timeout - cpu_seconds(pid), deadline - time.monotonic()
            if cpu_left <= 0 or wall_left <= 0:
                return "time" if cpu_left <= 0 else "wall"
            wait = min(max(cpu_left / CPUS, SHORTEST), wall_left, self._scratch.every or wall_left)
            done = bool(select.select([channel], [], [], wait)[0])
            if self._scratch.full(pid):
                return "disk"
            if done:
                return ""

    def _end(self, pid: int) -> float:
        """Kills it and whatever it left behind; -> its CPU time. Orphans come to us, as init or as subreaper."""
        if self._layer.namespaces:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all in our pid namespace but us
        else:
            os.kill(pid, signal.SIGKILL)
        usage = os.wait4(pid, 0)[2]
        while True:
            try:
                if self._layer.namespaces:
                    os.wait()
                    continue
            except ChildProcessError:
                break
            if not _end_orphans():
                break
        return usage.ru_utime + usage.ru_stime


def _end_orphans() -> bool:
    """Whether there were any; a program may leave some only where the layer has no filter of system calls."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        for child in file.read().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)
    return True


def serve_programs(channel: socket.socket, layer: Layer, policy: Policy, user: int | None, ready: Ready) -> None:
    """The server's process: says "ready" or what is refused, then runs what it is asked until the channel closes."""
    os.environ.clear()
    keep_descriptors({channel.fileno()})
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    try:
        server = ForkServer(layer, policy, user, ready)
    except OSError as error:
        channel.send(json.dumps({"refused": str(error)}).encode())
        return
    protect()
    tempfile.tempdir = None  # a program is to look for one again: its own
    gc.collect()
    gc.freeze()  # so that no collection in a program touches, and so copies, what it shares with us
    gc.disable()
    try:
        channel.send(b"{}")
        _answer(channel, server)
    finally:
        server.close()


def _answer(channel: socket.socket, server: ForkServer) -> None:
    while True:
        message, descriptors, _, _ = socket.recv_fds(channel, MAX_MESSAGE, 2)
        if not message:
            return
        request: dict[str, Any] = json.loads(message)
        outcome = server.run(channel, request["cpu_seconds"], request["wall_seconds"], descriptors)
        # The checker of a program that was stopped meets the end of its pipe, and then says that it is done.
        if not channel.recv(MAX_MESSAGE):
            return
        channel.send(json.dumps({"cpu_seconds": outcome.seconds, "stopped": outcome.stopped}).encode())


def prepare(layer: Layer, policy: Policy) -> Ready:
    """Loads modules and looks around, while this is still the user who may read Python's files.

    Here the policy decides which paths programs may read and where their modules come from. There is only STDLIB_ONLY:
    a policy with installed packages would add their folders to both.
    """
    sys.path[:] = [path for path in sys.path if not os.path.isdir(os.path.join(path, "codex_jax"))]
    warm()
    if not layer.namespaces:
        # Another user may not read ours, a root of its own has none, and packages with tests may be in its folder.
        Kept().collect()
    read = readable() if layer.namespaces else shared_libraries()
    return Ready(read, OTHERS + tasks_of_user() if os.geteuid() else 0)
