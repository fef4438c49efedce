"""Checks before JAX starts that all processes of a run are up: each reports to process 0 on its port.

If a process is missing, JAX's own start-up aborts the others. This check says which one is missing.
"""

import contextlib
import socket
import time

from codex_jax.errors import InputError

COMPLETE = b"go"  # process 0's answer when all processes have reported; any other answer is an error message
MAX_INDEX_BYTES = 16  # a process reports its index in decimal
REPLY_TIMEOUT = 5.0  # seconds to wait for a connected process to write


def wait_for_others(port: int, count: int, seconds: float) -> None:
    """In process 0: waits for reports of processes 1 to count - 1; InputError if some are missing after `seconds`."""
    deadline = time.monotonic() + seconds
    connections: dict[int, socket.socket] = {}
    try:
        with socket.create_server(("", port)) as server:
            while len(connections) < count - 1 and time.monotonic() < deadline:
                server.settimeout(max(deadline - time.monotonic(), 0.01))
                try:
                    connection, _ = server.accept()
                    connection.settimeout(REPLY_TIMEOUT)
                    index = int(connection.recv(MAX_INDEX_BYTES) or b"0")
                except (TimeoutError, ValueError, ConnectionError):
                    continue  # not a process of this run, or it has closed the connection
                if 1 <= index < count:
                    connections[index] = connection
    except OSError as error:
        raise InputError(f"cannot listen on port {port}: {error.strerror}: give --hosts.coordinator another") from None
    missing = ", ".join(str(index) for index in range(1, count) if index not in connections)
    answer = f"hosts {missing} of {count} have not come within {seconds:.0f} s".encode() if missing else COMPLETE
    for connection in connections.values():
        with contextlib.suppress(OSError):  # it has exited meanwhile, which JAX's start-up reports
            connection.sendall(answer)
        connection.close()
    if missing:
        raise _incomplete(answer)


def report(host: str, port: int, index: int, seconds: float) -> None:
    """In any other process: reports to process 0; InputError if it does not answer or processes are missing."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host, port), timeout=REPLY_TIMEOUT) as connection:
                connection.sendall(str(index).encode())
                connection.settimeout(seconds + REPLY_TIMEOUT)
                answer = connection.recv(1024)
                if answer:
                    break
        except OSError:
            pass  # not listening yet
        if time.monotonic() > deadline:
            raise InputError(
                f"the first host does not answer at {host}:{port} within {seconds:.0f} s: start the same command there "
                "with --hosts.index 0, and open the port between the hosts"
            )
        time.sleep(0.2)
    if answer != COMPLETE:
        raise _incomplete(answer)


def _incomplete(answer: bytes) -> InputError:
    reason = answer.decode(errors="replace")
    return InputError(f"{reason}: start the same command on each, with its own --hosts.index")
