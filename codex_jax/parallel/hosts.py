"""Connects the processes of a run, one per host, and runs actions in process 0 only."""

import importlib.util
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import jax
import numpy as np
from jax.experimental import multihost_utils

from codex_jax.config import HostsConfig
from codex_jax.errors import InputError
from codex_jax.parallel import numerics, rendezvous

PORT = 8476  # of process 0; JAX would choose a random port, which firewalls often block
LOST = ("Connection closed by peer", "Connection reset by peer", "oordination service", "heartbeat")
GRACE = 10  # seconds in which all processes can report the same error


def join(config: HostsConfig) -> None:
    """Fixes JAX's settings and connects this process to the run's others, if any; call it before JAX is used.

    InputError if the flags are inconsistent, processes are missing after config.wait seconds, or JAX has no device.
    """
    numerics.fix()
    if config.wait < 1:
        raise InputError(f"--hosts.wait must be at least 1 second, not {config.wait}")
    if config.coordinator or config.count or config.index >= 0:
        if not config.coordinator or config.count < 1 or not 0 <= config.index < config.count:
            raise InputError(
                f"--hosts: coordinator {config.coordinator!r}, count {config.count}, index {config.index}: give "
                "HOST[:PORT] of process 0, the number of processes, and which this is, from 0"
            )
        host, colon, port_text = config.coordinator.partition(":")
        if colon and not (port_text.isdigit() and 0 < int(port_text) < 65536):
            raise InputError(f"--hosts.coordinator {config.coordinator}: give HOST or HOST:PORT")
        port = int(port_text or PORT)
        if config.index:
            rendezvous.report(host, port, config.index, config.wait)
        else:
            rendezvous.wait_for_others(port, config.count, config.wait)
        _initialize(f"{host}:{port}", config.count, config.index, config.wait)
    elif on_tpu_vm():
        os.environ.setdefault("JAX_COORDINATOR_PORT", str(PORT))
        _initialize(None, None, None, config.wait)  # JAX detects the processes
    numerics.check_platform()


def on_tpu_vm() -> bool:
    """Whether this machine has TPU chips and libtpu."""
    chips = [*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*")]
    return bool(chips) and importlib.util.find_spec("libtpu") is not None


def _initialize(address: str | None, count: int | None, index: int | None, seconds: int) -> None:
    try:
        jax.distributed.initialize(address, count, index, initialization_timeout=seconds)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the hosts cannot join {address or 'the first'}: {reason}") from None


def of_first(array: np.ndarray) -> np.ndarray:
    """Returns process 0's array in every process; the others pass an array of the same shape and dtype."""
    return np.asarray(multihost_utils.broadcast_one_to_all(array)) if jax.process_count() > 1 else array


def end(code: int) -> NoReturn:
    """Ends this process with the exit code. After an error it waits for the other processes for GRACE seconds only.

    JAX would wait for minutes until they end too, while they wait for this one.
    """
    if code and jax.distributed.is_initialized():
        timer = threading.Timer(GRACE, os._exit, [code])
        timer.daemon = True
        timer.start()
    sys.exit(code)


def is_lost(error: Exception) -> bool:
    """Whether the error says that another process has ended, or cannot be reached."""
    return jax.distributed.is_initialized() and any(sign in str(error) for sign in LOST)


def everywhere(value: bool) -> bool:
    """Whether the value is true in every process."""
    return bool(np.all(multihost_utils.process_allgather(np.array(value)))) if jax.process_count() > 1 else value


def on_first(action: Callable[[], None]) -> None:
    """Runs `action` in process 0 only; the others wait for it. If it raises InputError, every process does."""
    error: InputError | None = None
    if jax.process_index() == 0:
        try:
            action()
        except InputError as raised:
            error = raised
    failed = bool(of_first(np.array(error is not None)))
    if error:
        raise error
    if failed:
        raise InputError("the first host has refused to start: see its own error message")
