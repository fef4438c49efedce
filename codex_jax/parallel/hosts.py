"""Several hosts: how the processes of a run find each other, and how one of them acts for all."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from codex_jax.config import HostsConfig
from codex_jax.errors import InputError
from codex_jax.parallel import rendezvous

PORT = 8476  # of process 0; later versions of JAX choose another, which common firewalls block


def join(config: HostsConfig) -> None:
    """Joins the other processes of the run; does nothing for a run of one. To be called before JAX is used.

    InputError where the flags do not fit together, or where not all processes have come within config.wait seconds.
    """
    if config.wait < 1:
        raise InputError(f"--hosts.wait must be at least 1 second, not {config.wait}")
    if config.coordinator or config.count or config.index >= 0:
        if not config.coordinator or config.count < 1 or not 0 <= config.index < config.count:
            raise InputError(
                f"--hosts: coordinator {config.coordinator!r}, count {config.count}, index {config.index}: give "
                "HOST[:PORT] of process 0, the number of processes, and which this is, from 0"
            )
        host, colon, port = config.coordinator.partition(":")
        if colon and not (port.isdigit() and 0 < int(port) < 65536):
            raise InputError(f"--hosts.coordinator {config.coordinator}: give HOST or HOST:PORT")
        number = int(port or PORT)
        if config.index:
            rendezvous.follow(host, number, config.index, config.wait)
        else:
            rendezvous.lead(number, config.count, config.wait)
        _initialize(f"{host}:{number}", config.count, config.index, config.wait)
    elif on_tpu_vm():
        os.environ.setdefault("JAX_COORDINATOR_PORT", str(PORT))
        _initialize(None, None, None, config.wait)


def on_tpu_vm() -> bool:
    """Whether this machine has TPU chips and the library for them."""
    chips = [*Path("/dev").glob("accel[0-9]*"), *Path("/dev/vfio").glob("[0-9]*")]
    return bool(chips) and importlib.util.find_spec("libtpu") is not None


def _initialize(address: str | None, count: int | None, index: int | None, seconds: int) -> None:
    try:
        jax.distributed.initialize(address, count, index, initialization_timeout=seconds)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"the hosts cannot join {address or 'the first'}: {reason}") from None


def of_first(array: np.ndarray) -> np.ndarray:
    """The array of process 0, in all; the others give one of the same shape and dtype."""
    return np.asarray(multihost_utils.broadcast_one_to_all(array)) if jax.process_count() > 1 else array


def on_first(action: Callable[[], None]) -> None:
    """Runs action in process 0 alone, before any other goes on; if it raises InputError there, all end with one."""
    fault: InputError | None = None
    if jax.process_index() == 0:
        try:
            action()
        except InputError as error:
            fault = error
    if jax.process_count() > 1:
        failed = bool(multihost_utils.broadcast_one_to_all(np.array(fault is not None)))
        if failed and fault is None:
            raise InputError("the first host has refused to start: its own message says why")
    if fault:
        raise fault
