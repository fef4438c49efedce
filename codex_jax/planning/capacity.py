"""Whether this machine can hold a run, told before anything is allocated."""

import dataclasses
import math
from pathlib import Path

import jax

from codex_jax.config import DataConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.model.geometry import head_dim
from codex_jax.model.kernels import choose_kernel
from codex_jax.planning.candidates import changes, smallest
from codex_jax.planning.chips import chips_of
from codex_jax.planning.compiling import Job, job_of
from codex_jax.planning.memory import estimate, ways

SURE = 0.65  # of the estimate: nothing that was compiled took less


def host_bytes() -> int | None:
    """Bytes of memory that this machine, or the control group it is held in, has left; None where it does not say."""
    found = []
    for line in _read("/proc/meminfo").splitlines():
        if line.startswith("MemAvailable:"):
            found.append(int(line.split()[1]) * 1024)
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        most, now = _read(limit).strip(), _read(used).strip()
        if most.isdecimal() and now.isdecimal():
            # Cached files count as used, and are given up when memory is short.
            cached = sum(
                int(line.split()[1])
                for line in _read(str(Path(used).with_name("memory.stat"))).splitlines()
                if line.startswith(("inactive_file ", "active_file ", "total_inactive_file ", "total_active_file "))
            )
            found.append(int(most) - int(now) + cached)
    return min(found, default=None)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def device_bytes(devices: list[jax.Device]) -> int | None:
    """Bytes that one of these has for us: of its own memory, or its part of the machine's on a CPU; None if unknown."""
    stats = devices[0].memory_stats() if devices[0].platform != "cpu" else None
    if stats and stats.get("bytes_limit"):
        return int(stats["bytes_limit"])
    if devices[0].platform != "cpu":
        return None
    left = host_bytes()
    return None if left is None else left // len(devices)


def require(config: TrainConfig, length: int = 0, command: str = "EXPERIMENT.py") -> None:
    """InputError where the run surely does not fit: what it needs, what is there, and a slice that has it.

    length: of sequences, or 0 before the data is known, when only parameters, moments and gradients are counted;
    command: the experiment and flags, for the plan command.
    """
    job = job_of(dataclasses.replace(config, data=DataConfig()))
    devices, model = jax.local_devices(), config.model
    platform, there = devices[0].platform, device_bytes(devices)
    if there is None:
        return
    kernel = choose_kernel(model.attention, platform, model.compute_dtype, length or job.length, head_dim(model))
    mesh = mesh_for(config, jax.device_count())
    memory = estimate(config, mesh, length or job.length, kernel != "xla", tiled=platform == "tpu")
    needed = memory.total * SURE if length else memory.parameters + memory.moments + memory.gradients
    if needed <= there:
        return
    fitting = min(smallest(Job(job.config, length or job.length)), key=lambda one: chips_of(one.topology), default=None)
    advice = "no slice that is known holds it"
    if fitting:
        flags = " ".join(["--topology", fitting.topology, *changes(job.config, fitting.config)])
        advice = f"the smallest slice that does is {fitting.topology}: python -m codex_jax.plan {command} {flags}"
    raise InputError(
        f"this run needs {needed / 1024**3:.1f} GiB or more on each of {jax.device_count()} {platform} device(s), "
        f"and {there / 1024**3:.1f} GiB is there; {advice}"
    )


def mesh_for(config: TrainConfig, devices: int) -> dict[str, int]:
    """The run's mesh, or where it is made for another number of devices the one that takes least of each of these."""
    mesh = ways(config, devices)
    if math.prod(mesh.values()) == devices and min(mesh.values()) > 0:
        return mesh
    return dict.fromkeys(mesh, 1) | {"fsdp": devices}
