"""What the benchmarks ask of the processes that they measure beside each other."""

import os
import subprocess
from typing import Literal

from codex_jax.errors import InputError

Device = Literal["cpu", "gpu"]


def hold_to(device: Device, threads: int) -> dict[str, str]:
    """The environment of a contender; on a CPU this process and what it starts are held to so many cores."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < threads:
        raise InputError(f"--threads {threads}: this process has {len(cores)} cores")
    if device == "cpu":
        os.sched_setaffinity(0, cores[:threads])  # XLA takes as many threads as it has cores
    return {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "JAX_PLATFORMS": {"cpu": "cpu", "gpu": "cuda"}[device],
        "XLA_PYTHON_CLIENT_PREALLOCATE": "false",  # a GPU's memory is for all contenders
    }


def where(device: Device, threads: int) -> str:
    """As a table's title says it."""
    return f"{threads} cores" if device == "cpu" else "one GPU"


def has_modules(python: str, *names: str) -> bool:
    """Whether the Python of --torch-python finds them all."""
    probe = f"import importlib.util as i, sys; sys.exit(not all(map(i.find_spec, {names!r})))"
    try:
        return subprocess.run([python, "-c", probe], check=False).returncode == 0
    except OSError:
        raise InputError(f"--torch-python {python}: no such program") from None
