"""Processes that a benchmark measures in turn, on the same cores or the same GPU."""

import json
import os
import subprocess
from typing import Any, Literal

from codex_jax.errors import InputError

Device = Literal["cpu", "gpu"]


class Worker:
    """A process that prints a line of JSON when it is ready, and then one for each line of JSON that it reads."""

    def __init__(self, command: list[str], settings: dict[str, Any], env: dict[str, str]) -> None:
        """Starts the command, with the settings as JSON for its last argument, and waits until it is ready."""
        command = [*command, json.dumps(settings)]
        self._process = subprocess.Popen(command, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.facts = self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise InputError("a measured process has stopped: see its message above")
        return json.loads(line)

    def measure(self, **job: Any) -> dict[str, Any]:
        """Sends a job and returns the answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps(job) + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """Kills the process."""
        self._process.kill()
        self._process.wait()


def pin(device: Device, threads: int) -> dict[str, str]:
    """The environment of the measured processes; on a CPU it also pins them to cores. InputError for too few cores."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < threads:
        raise InputError(f"--threads {threads}: this process has {len(cores)} cores")
    if device == "cpu":
        os.sched_setaffinity(0, cores[:threads])  # XLA starts a thread for each core that it may use
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "JAX_PLATFORMS": {"cpu": "cpu", "gpu": "cuda"}[device],
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # the processes share the GPU's memory
    }


def device_text(device: Device, threads: int) -> str:
    """The device's name in the title of a table."""
    return f"{threads} cores" if device == "cpu" else "one GPU"


def has_modules(python: str, *names: str) -> bool:
    """Whether this Python can import all of these modules; InputError if there is no such program."""
    probe = f"import importlib.util as i, sys; sys.exit(not all(map(i.find_spec, {names!r})))"
    try:
        return subprocess.run([python, "-c", probe], check=False).returncode == 0
    except OSError:
        raise InputError(f"--torch-python {python}: no such program") from None
