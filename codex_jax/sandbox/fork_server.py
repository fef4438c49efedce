"""The fork server forks a restricted process for each program and watches the program's limits.

A program inherits the server's memory, so the server never holds a program or a test: programs read their source from
a pipe.
"""

import contextlib
import gc
import json
import os
import select
import signal
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

from codex_jax.sandbox.libc import PR_SET_CHILD_SUBREAPER, PR_SET_DUMPABLE, enter_namespace, fork, prctl, unshare
from codex_jax.sandbox.namespaces import PROCESS_IDS
from codex_jax.sandbox.preload import load_packages, reseed
from codex_jax.sandbox.program import serve_calls
from codex_jax.sandbox.restrictions import (
    CALLS,
    REPLIES,
    Restrictions,
    ServerConfig,
    cpu_time,
    release_descriptors,
    reserve_descriptors,
    set_inherited_limits,
)
from codex_jax.sandbox.scratch import FolderScratch, MountedScratch, stat_descriptors
from codex_jax.sandbox.supervisor import Supervisor, move_process_ids_on
from codex_jax.sandbox.surroundings import surround

MAX_MESSAGE = 4096  # bytes
# The checker's message that a program has answered many calls, which takes time. The limits then move by these seconds.
MORE, MORE_CPU, MORE_WALL = b"more", 0.03, 0.24
CPUS = os.cpu_count() or 1
SHORTEST_WAIT = 0.002  # seconds between two checks of a program's CPU time
# Seconds after which a program gets its supervisor, for which its first pipe waits. Most programs end sooner.
SUPERVISED_AFTER = 0.01


class ForkServer:
    """The fork server of one worker."""

    def __init__(self, config: ServerConfig, scratch: MountedScratch | FolderScratch) -> None:
        """Raises OSError that names what the kernel refused."""
        self._namespaces = config.layer.namespaces
        self._own_process = os.pidfd_open(os.getpid()) if self._namespaces else -1
        self._scratch = scratch
        set_inherited_limits(config.policy)
        self._restrictions = Restrictions(config)
        if not self._try_restrictions() and not self._namespaces:
            self._restrictions = Restrictions(config, sees_descriptors=False)
            self._try_restrictions()

    def _try_restrictions(self) -> bool:
        """Restricts a trial child; returns whether its open files can be listed. OSError if the kernel refuses."""
        self._scratch.clear()
        status_out, status_in = os.pipe()
        self._restrictions.prepare(self._scratch.path, self._scratch.root, os.dup(status_out), status_in)
        pid = self._fork()
        if not pid:
            try:
                self._restrictions.apply(1, self._scratch.root)
                os.write(REPLIES, b"restricted")
                signal.pause()  # until it is killed
            except BaseException as error:
                with contextlib.suppress(OSError):
                    os.write(REPLIES, str(error).encode())
            os._exit(0)
        release_descriptors()
        message = os.read(status_out, 1000)
        os.close(status_out)
        try:
            sees_descriptors = bool(list(stat_descriptors(pid)))
        except OSError:
            sees_descriptors = False
        self._kill(pid)
        if message != b"restricted":
            raise OSError(message.decode("utf-8", "replace") or "the process ended at once")
        return sees_descriptors

    def run(self, channel: socket.socket, cpu_limit: float, wall_limit: float, pipes: list[int]) -> tuple[float, str]:
        """Runs a program on these pipes until the checker sends a message on the channel; limits are in seconds.

        Returns the program's CPU seconds, and the limit that it exceeded: "time", "disk", "memory" (the machine's, so
        that the kernel killed it) or "".
        """
        self._scratch.clear()
        # Done before the fork, because the program's process must copy all memory that it changes.
        reseed()
        self._restrictions.prepare(self._scratch.path, self._scratch.root, *pipes)
        pid = self._fork()
        if not pid:
            self._run_program(cpu_limit)
        release_descriptors()
        exceeded, cpu_limit = self._watch(pid, channel, cpu_limit, wall_limit)
        seconds, died = self._kill(pid)
        if self._scratch.check_interval:
            self._scratch.clear()  # clearing may be slow, and must not count against the next program's time
        if not exceeded and seconds > cpu_limit:
            exceeded = "time"
        return seconds, exceeded or ("memory" if died else "")

    def _fork(self) -> int:
        """Forks; with namespaces, into a new one for process ids, which then say nothing about earlier programs."""
        if not self._namespaces:
            return fork()
        unshare(PROCESS_IDS)
        pid = fork()
        if pid:
            enter_namespace(self._own_process, PROCESS_IDS)  # a process that unshared it once may not do so again
        return pid

    def _run_program(self, cpu_limit: float) -> None:
        """Runs in the program's process and never returns."""
        try:
            self._restrictions.apply(cpu_limit, self._scratch.root)
            gc.enable()
            serve_calls(CALLS, REPLIES)
        finally:
            os._exit(1)

    def _supervise(self, pid: int) -> Supervisor | None:
        """The program's supervisor, if it needs one and has its filter."""
        if not self._restrictions.supervised:
            return None
        try:
            return Supervisor(pid, self._restrictions.listener, self._restrictions.descriptors)
        except OSError:
            return None

    def _finish(self, supervisor: Supervisor | None) -> None:
        if supervisor:
            supervisor.close()
            if supervisor.threads:
                move_process_ids_on(supervisor.threads)

    def _watch(self, pid: int, channel: socket.socket, cpu_limit: float, wall_limit: float) -> tuple[str, float]:
        """Waits for a message other than MORE on the channel, or an exceeded limit.

        Returns (the limit's name, or "" for a message; the limit on CPU time, which MORE moves).
        """
        deadline = time.monotonic() + wall_limit
        supervisor: Supervisor | None = None
        sources: list[Any] = [channel]
        try:
            while True:
                cpu_left, wall_left = cpu_limit - cpu_time(pid), deadline - time.monotonic()
                if cpu_left <= 0 or wall_left <= 0:
                    return "time", cpu_limit
                # Even on all CPUs, the program cannot use up its CPU time sooner than this.
                wait = min(max(cpu_left / CPUS, SHORTEST_WAIT), wall_left, self._scratch.check_interval or wall_left)
                if self._restrictions.supervised and supervisor is None:
                    wait = min(wait, SUPERVISED_AFTER)
                ready = select.select(sources, [], [], wait)[0]
                if supervisor is None and not ready:
                    supervisor = self._supervise(pid)
                elif supervisor is not None and supervisor in ready and not supervisor.answer():
                    self._finish(supervisor)
                    supervisor = None
                sources = [channel, supervisor] if supervisor else [channel]
                if self._scratch.is_full(pid):
                    return "disk", cpu_limit
                if channel in ready:
                    if channel.recv(MAX_MESSAGE, socket.MSG_PEEK) != MORE:
                        return "", cpu_limit
                    channel.recv(MAX_MESSAGE)
                    cpu_limit, deadline = cpu_limit + MORE_CPU, deadline + MORE_WALL
        finally:
            self._finish(supervisor)

    def _kill(self, pid: int) -> tuple[float, bool]:
        """Kills the program and all processes that it left behind.

        Returns the program's CPU seconds, and whether the kernel had killed it, which it does if memory runs out.
        """
        state = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if self._namespaces:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)  # all in this pid namespace except this process
        else:
            os.kill(pid, signal.SIGKILL)
        usage = os.wait4(pid, 0)[2]
        with contextlib.suppress(ChildProcessError):  # until there are no more children
            while True:
                os.waitpid(-1, 0 if self._namespaces else os.WNOHANG)
                if not self._namespaces:
                    self._kill_children()
        died = state is not None and state.si_code == os.CLD_KILLED and state.si_status == signal.SIGKILL
        return usage.ru_utime + usage.ru_stime, died

    @staticmethod
    def _kill_children() -> None:
        """Kills processes that a program left behind, which is possible only without a seccomp filter."""
        for child in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)


def serve_programs(channel: socket.socket, config: ServerConfig) -> None:
    """Runs the fork server: reports whether the layer works, then runs programs until the channel closes."""
    channel = socket.socket(fileno=reserve_descriptors(channel.detach()))
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    scratch: MountedScratch | FolderScratch = (
        MountedScratch(config.policy)
        if config.layer.namespaces
        else FolderScratch(config.policy, config.user, config.chroot)
    )
    with contextlib.closing(scratch):
        try:
            server = ForkServer(config, scratch)
            surround(scratch.path_in_root, files_by_descriptor=config.layer.landlock and not config.chroot)
            if config.packages:
                load_packages(config.policy.packages, config.packages, from_files=config.layer.namespaces)
        except OSError as error:
            channel.send(json.dumps({"refused": str(error)}).encode())
            return
        prctl(PR_SET_DUMPABLE, 0)  # programs of the same user cannot trace this process or write its memory
        tempfile.tempdir = None  # each program then looks up its own folder for temporary files
        gc.collect()
        gc.freeze()  # otherwise garbage collection in a program would copy memory that it shares with this process
        gc.disable()
        channel.send(b"{}")
        while True:
            message, pipes, _, _ = socket.recv_fds(channel, MAX_MESSAGE, 2)
            if not message:
                return
            seconds, exceeded = server.run(channel, pipes=pipes, **json.loads(message))
            # After the program is killed, the checker sees its pipe close and sends a message that it is done.
            while (message := channel.recv(MAX_MESSAGE)) == MORE:
                pass
            if not message:
                return
            channel.send(json.dumps({"cpu_seconds": seconds, "exceeded": exceeded}).encode())
