"""Ends a run after a step when a signal or a preemption notice comes, after the same step in all processes."""

import os
import signal
import threading
import time
import urllib.request
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from codex_jax.parallel.mesh import AXES

SIGNALS = (signal.SIGTERM, signal.SIGINT)
NOTICE = 1000  # stands for a preemption notice beside the numbers of signals
NOTICE_URL = "http://{}/computeMetadata/v1/instance/preempted?wait_for_change=true"


class Stop:
    """A context in which signals ask the run to stop instead of ending the process; a second signal ends it at once.

    Calling it starts a vote among the processes, and returns a function that waits for the result: the reason to stop,
    or "". The votes of a step are in before the step is computed, so nothing waits for them.
    """

    def __init__(self, mesh: jax.sharding.Mesh, watch_host: str = "") -> None:
        """watch_host: the metadata server that announces a preemption, such as metadata.google.internal."""
        self._mesh, self._watch_host = mesh, watch_host
        self._request = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._receive) for number in SIGNALS}
        if self._watch_host:
            threading.Thread(target=self._watch, daemon=True).start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._restore()

    def __call__(self) -> Callable[[], str]:
        """See the class."""
        if jax.process_count() == 1:
            return lambda: _name(self._request)
        sharding = NamedSharding(self._mesh, PartitionSpec(AXES))
        local = np.full(len(self._mesh.local_devices), self._request, np.int32)
        largest = _largest(jax.make_array_from_process_local_data(sharding, local))
        return lambda: _name(int(largest))

    def _receive(self, number: int, _: FrameType | None) -> None:
        self._request = number
        self._restore()
        # print() could be interrupted by itself here.
        os.write(2, f"{_name(number)}: saving after this step; a second one ends the process at once\n".encode())

    def _restore(self) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def _watch(self) -> None:
        request = urllib.request.Request(NOTICE_URL.format(self._watch_host), headers={"Metadata-Flavor": "Google"})
        while not self._request:
            try:
                with urllib.request.urlopen(request, timeout=3600) as answer:
                    if answer.read().strip() == b"TRUE":
                        self._request = NOTICE
            except OSError:
                time.sleep(10)


@jax.jit
def _largest(requests: jax.Array) -> jax.Array:
    return jnp.max(requests)


def _name(request: int) -> str:
    if request == NOTICE:
        return "preemption notice"
    return signal.Signals(request).name if request else ""
