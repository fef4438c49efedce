"""Meshes, remat policies and levers that could train a run on a slice, with guesses of memory and speed.

Nothing is compiled here: the guesses decide what is worth compiling, and their speed is good for an order only.
"""

import dataclasses
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from codex_jax.config import MeshConfig, RematPolicy, TrainConfig
from codex_jax.model.geometry import layer_matrix_parameters
from codex_jax.model.remat import REMAT
from codex_jax.parallel.mesh import AXES
from codex_jax.planning.chips import SHAPES, chips_of, closed_axes, parse_topology
from codex_jax.planning.compiling import Job
from codex_jax.planning.memory import BYTES, Memory, estimate
from codex_jax.planning.projection import PCIE, flops_per_token, kernel_efficiency

FREE = 0.2  # of HBM, that shall stay free
# Found in compiled steps of the 12b model on v5e:16x16:
PRODUCTS_SPEED = 0.72  # of peak, of a layer's products with all that stands between them
WAITS = 0.4  # of the weights' gathers and scatters

# What is tried one after the other until a run fits: chunks cost a little time, the others change the optimizer.
CHUNKS = (1, 2, 4, 8, 16)


@dataclass(frozen=True)
class Candidate:
    """A way to train, with guesses."""

    topology: str
    config: TrainConfig
    memory: Memory
    seconds: float  # a step


def powers(limit: int) -> list[int]:
    """1, 2, 4, ... up to limit."""
    return [2**n for n in range(limit.bit_length()) if 2**n <= limit]


def meshes(config: TrainConfig, length: int, devices: int) -> Iterator[dict[str, int]]:
    """Every mesh over so many devices whose axes divide the model and the batch."""
    model = config.model
    for split in powers(min(devices, 8)):
        if model.heads % split or model.vocab_size % split:
            continue
        for sequence in powers(min(devices // split, 8)):
            for fsdp in powers(devices // split // sequence):
                data, left = divmod(devices, split * sequence * fsdp)
                uneven = length % sequence or model.width % (fsdp * sequence) or config.batch_size % (data * fsdp)
                if not left and not uneven:
                    yield dict(zip(AXES, (data, fsdp, sequence, split), strict=True))


def bandwidth(topology: str, count: int) -> float:
    """Bytes/s of a ring over so many neighbours, laid out along whole axes first."""
    chip, shape = parse_topology(topology)
    total, left = 0.0, max(1, count // chip.cores)
    for size, closed in sorted(zip(shape, closed_axes(topology), strict=True), reverse=True):
        if left > 1:
            total += chip.ici_bandwidth / (1 if closed and left >= size else 2)
            left = -(-left // size)
    return total or chip.ici_bandwidth


def guess_seconds(job: Job, config: TrainConfig, topology: str, mesh: dict[str, int]) -> float:
    """Seconds of a step: products, attention, and the communication of weights, gradients and activations."""
    chip, _ = parse_topology(topology)
    devices, model, size = chips_of(topology) * chip.cores, config.model, BYTES[config.model.compute_dtype]
    peak, split, sequence = chip.peak_flops / chip.cores, mesh["model"], mesh["sequence"]
    tokens = config.batch_size * job.length / devices
    remat, matrices = REMAT[model.remat], model.layers * layer_matrix_parameters(model)
    flops = flops_per_token(model, 0) + 2 * model.layers * layer_matrix_parameters(model, remat.linear_layers)
    flops += (2 * model.vocab_size * model.width) if config.loss_chunks > 1 else 0
    kernels = (9 + 2 * remat.attention) * model.layers * job.length * model.width
    seconds = tokens * (flops / PRODUCTS_SPEED + kernels / kernel_efficiency(model, chip)) / peak

    parts = mesh["fsdp"] * sequence
    weights = matrices / split * BYTES[model.gather_dtype] * (parts - 1) / parts
    # Gathered forward and backward, scattered once, for each microbatch; copies add up their gradients at the end.
    # Where parameters are split over all devices, the compiler reduces gradients whole, which waits, then cuts them.
    scatters = 2 if parts == devices else WAITS
    seconds += (2 * WAITS + scatters) * config.accumulation * weights / bandwidth(topology, parts)
    copies = 2 * (mesh["data"] - 1) / mesh["data"] * 4 * matrices / split / parts
    seconds += copies / bandwidth(topology, mesh["data"])
    activations = tokens * split * model.layers * model.width * size
    again = 1 if remat.linear_layers else 0
    seconds += (4 + again) * 2 * activations * (split - 1) / split / bandwidth(topology, split)
    seconds += (2 + again) * 2 * activations * (sequence - 1) / split / bandwidth(topology, sequence)
    if config.optimizer.offload:
        held = (4 + BYTES[config.optimizer.first_moment_dtype]) * matrices / parts / split
        seconds += 2 * held / PCIE
    return seconds


def levers(config: TrainConfig, optimizer: bool) -> Iterator[TrainConfig]:
    """The run as it is and with more and more that saves memory; optimizer: whether that may change too."""
    chunked = [dataclasses.replace(config, loss_chunks=n) for n in CHUNKS if n > config.loss_chunks]
    yield from (config, *chunked)
    if optimizer:
        last = chunked[-1] if chunked else config
        for change in ({"first_moment_dtype": "bfloat16"}, {"offload": True}):
            yield dataclasses.replace(last, optimizer=dataclasses.replace(config.optimizer, **change))


def candidates(job: Job, topology: str, free: float = FREE, optimizer: bool = False) -> list[Candidate]:
    """All that fit the slice with so much of HBM free by the estimate, the fastest guess first."""
    chip, _ = parse_topology(topology)
    devices, found = chips_of(topology) * chip.cores, []
    room = chip.hbm_bytes / chip.cores * (1 - free)
    gathers = dict.fromkeys((job.config.model.gather_dtype, job.config.model.compute_dtype))
    for mesh in meshes(job.config, job.length, devices):
        for accumulation in powers(job.config.batch_size // mesh["data"] // mesh["fsdp"]):
            for remat in typing.get_args(RematPolicy):
                for gather in gathers:
                    model = dataclasses.replace(job.config.model, remat=remat, gather_dtype=gather)
                    changes: dict[str, Any] = {"model": model, "mesh": MeshConfig(**mesh), "accumulation": accumulation}
                    for config in levers(dataclasses.replace(job.config, **changes), optimizer):
                        if job.length % (mesh["sequence"] * config.loss_chunks):
                            continue
                        memory = estimate(config, mesh, job.length)
                        if memory.total <= room:
                            seconds = guess_seconds(job, config, topology, mesh)
                            found.append(Candidate(topology, config, memory, seconds))
                            break
    return sorted(found, key=lambda one: one.seconds)


def distinct(found: list[Candidate], count: int) -> list[Candidate]:
    """The first `count` of them with at most two of a mesh and one of a mesh and remat policy."""
    kept: list[Candidate] = []
    for one in found:
        same = [other.config for other in kept if other.config.mesh == one.config.mesh]
        if len(same) < 2 and all(other.model.remat != one.config.model.remat for other in same):
            kept.append(one)
        if len(kept) == count:
            break
    return kept


def smallest(job: Job, kinds: typing.Iterable[str] = tuple(SHAPES), free: float = FREE) -> list[Candidate]:
    """For each kind of chip the smallest slice that fits, trained as fast as is guessed; none where none does."""
    found = []
    for kind in kinds:
        for topology in sorted((f"{kind}:{shape}" for shape in SHAPES[kind]), key=chips_of):
            if fitting := candidates(job, topology, free):
                found.append(fitting[0])
                break
    return found


def changes(base: Any, wanted: Any, prefix: str = "--") -> list[str]:
    """The flags that make `wanted` of the config `base`, such as --mesh.fsdp 128."""
    flags: list[str] = []
    for field in dataclasses.fields(wanted):
        before, after = getattr(base, field.name), getattr(wanted, field.name)
        name = prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(after):
            flags += changes(before, after, f"{name}.")
        elif before != after and isinstance(after, bool):
            flags.append(name if after else f"{prefix}no-{name.removeprefix(prefix)}")
        elif before != after:
            flags += [name, str(after)]
    return flags
