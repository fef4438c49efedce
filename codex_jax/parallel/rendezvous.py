"""All processes of a run meet at the first one's port before JAX starts, whose own waiting ends in an abort.

So a host that is missing is named, and nobody hangs.
"""

import contextlib
import socket
import time

from codex_jax.errors import InputError

GO = b"go"
LINE = 16  # bytes of a process's index
PATIENCE = 5.0  # seconds for an answer to come through


def lead(port: int, count: int, seconds: float) -> None:
    """The first process's part; InputError names those of 1 to count - 1 that have not come in time."""
    end = time.monotonic() + seconds
    present: dict[int, socket.socket] = {}
    try:
        with socket.create_server(("", port)) as server:
            while len(present) < count - 1 and time.monotonic() < end:
                server.settimeout(max(end - time.monotonic(), 0.01))
                try:
                    caller, _ = server.accept()
                    caller.settimeout(PATIENCE)
                    index = int(caller.recv(LINE) or b"0")
                except (TimeoutError, ValueError, ConnectionError):
                    continue  # not one of ours, or gone again
                if 1 <= index < count:
                    present[index] = caller
    except OSError as error:
        raise InputError(f"cannot listen on port {port}: {error.strerror}: give --hosts.coordinator another") from None
    missing = [index for index in range(1, count) if index not in present]
    names = ", ".join(map(str, missing))
    answer = f"hosts {names} of {count} have not come within {seconds:.0f} s".encode() if missing else GO
    for caller in present.values():
        with contextlib.suppress(OSError):  # gone again: what JAX does next will tell
            caller.sendall(answer)
        caller.close()
    if missing:
        raise InputError(f"{answer.decode()}: start the same command on each, with its own --hosts.index")


def follow(host: str, port: int, index: int, seconds: float) -> None:
    """Another process's part; InputError where the first is not there in time, or tells who is missing."""
    end = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host, port), timeout=PATIENCE) as caller:
                caller.sendall(str(index).encode())
                caller.settimeout(seconds + PATIENCE)
                answer = caller.recv(1024)
                if answer:
                    break
        except OSError:
            pass
        if time.monotonic() > end:
            raise InputError(
                f"the first host does not answer at {host}:{port} within {seconds:.0f} s: start the same command there "
                "with --hosts.index 0, and open the port between the hosts"
            )
        time.sleep(0.2)
    if answer != GO:
        told = answer.decode(errors="replace")
        raise InputError(f"{told}: start the same command on each, with its own --hosts.index")
