"""Refuses a run that exceeds this machine's memory, before anything is allocated."""

import dataclasses
import math
import shlex
from collections.abc import Iterator
from pathlib import Path

import jax

from codex_jax.config import DataConfig, TrainConfig, differences
from codex_jax.errors import InputError
from codex_jax.model.geometry import head_dim
from codex_jax.model.kernels import choose_kernel
from codex_jax.planning.candidates import smallest
from codex_jax.planning.changes import flags, plan_command
from codex_jax.planning.chips import parse_topology
from codex_jax.planning.memory import estimate
from codex_jax.planning.training_plan import Job, job_of
from codex_jax.planning.units import GIB

LEAST_OF_ESTIMATE = 0.65  # every compiled step took at least this fraction of its estimate

# Files with the memory (limit, usage) of this process's control group, in versions 2 and 1.
CONTROL_GROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)
CACHED_FILES = ("inactive_file ", "active_file ", "total_inactive_file ", "total_active_file ")


def host_bytes() -> int | None:
    """Free memory of this machine or of this process's control group, in bytes; None if unknown."""
    free = [
        int(line.split()[1]) * 1024 for line in _read("/proc/meminfo").splitlines() if line.startswith("MemAvailable:")
    ]
    for limit_path, usage_path in CONTROL_GROUPS:
        limit, usage = _read(limit_path).strip(), _read(usage_path).strip()
        if limit.isdecimal() and usage.isdecimal():
            # Cached files count as used, but the kernel drops them when memory runs short.
            lines = _read(str(Path(usage_path).with_name("memory.stat"))).splitlines()
            cached = sum(int(line.split()[1]) for line in lines if line.startswith(CACHED_FILES))
            free.append(int(limit) - int(usage) + cached)
    return min(free, default=None)


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def device_bytes(devices: list[jax.Device]) -> int | None:
    """Memory of each device in bytes; None if unknown. CPU devices share the machine's free memory equally."""
    if devices[0].platform == "cpu":
        free = host_bytes()
        return None if free is None else free // len(devices)
    return int((devices[0].memory_stats() or {}).get("bytes_limit", 0)) or None


def require(config: TrainConfig, length: int = 0, command: str = "EXPERIMENT.py") -> None:
    """InputError if the run certainly does not fit this machine; names flags to make it fit, or a larger TPU slice.

    length: tokens per sequence, or 0 if unknown: then only parameters, moments and gradients count.
    command: the experiment and its flags, for the plan command in the message.
    """
    job = job_of(dataclasses.replace(config, data=DataConfig()))
    job = Job(job.config, length or job.length)
    devices = jax.local_devices()
    platform, available = devices[0].platform, device_bytes(devices)
    if available is None:
        return

    def needed(config: TrainConfig) -> float:
        model = config.model
        kernel = choose_kernel(model.attention, platform, model.compute_dtype, job.length, head_dim(model))
        mesh = mesh_for(config, jax.device_count())
        memory = estimate(config, mesh, job.length, fused=kernel != "xla", padded=platform == "tpu")
        return memory.total * LEAST_OF_ESTIMATE if length else memory.parameters + memory.moments + memory.gradients

    if needed(config) <= available:
        return
    remedy = next((one for one in smaller(config) if length and needed(one) <= available), None)
    fitting = min(smallest(job), key=lambda one: parse_topology(one.topology).chips, default=None)
    advice = "no known TPU slice can hold it"
    if remedy:
        advice = f"it may fit with {shlex.join(flags(differences(config, remedy)))}, which give the same losses"
    elif fitting:
        plan = plan_command(command, fitting.topology, fitting.settings)
        advice = f"the smallest TPU slice that can hold it is {fitting.topology}: {plan}"
    raise InputError(
        f"this run needs at least {GIB.text(needed(config))} on each of {jax.device_count()} {platform} device(s), "
        f"and {GIB.text(available)} is available; {advice}"
    )


def smaller(config: TrainConfig) -> Iterator[TrainConfig]:
    """The run in more and more microbatches, as it is and then with full rematerialization."""
    rows = config.batch_size // math.prod(max(size, 1) for size in (config.mesh.data, config.mesh.fsdp))
    for remat in dict.fromkeys((config.model.remat, "full")):
        model = dataclasses.replace(config.model, remat=remat)
        for parts in range(config.accumulation, rows + 1):
            if config.batch_size % parts == 0:
                yield dataclasses.replace(config, accumulation=parts, model=model)


def mesh_for(config: TrainConfig, devices: int) -> dict[str, int]:
    """The run's mesh; if it does not match the number of devices, the mesh with the least memory per device."""
    sizes = dataclasses.asdict(config.mesh)
    rest = devices // math.prod(size for size in sizes.values() if size != -1)
    mesh = {axis: rest if size == -1 else size for axis, size in sizes.items()}
    return mesh if math.prod(mesh.values()) == devices else dict.fromkeys(mesh, 1) | {"fsdp": devices}
