"""Ways to train a run on a slice, with estimates of memory and of speed (only to rank them), without compilation."""

import dataclasses
import itertools
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from codex_jax.config import MeshConfig, RematPolicy, TrainConfig, differences
from codex_jax.model.geometry import layer_matrix_parameters
from codex_jax.model.remat import REMAT
from codex_jax.parallel.mesh import AXES
from codex_jax.planning.chips import SHAPES, Slice, parse_topology
from codex_jax.planning.memory import BYTES, Memory, estimate
from codex_jax.planning.projection import PCIE_BANDWIDTH, flops_per_token, kernel_efficiency
from codex_jax.planning.training_plan import Job

FREE = 0.2  # fraction of HBM to leave free
# The next two come from compiled steps of the 12b model on v5e:16x16.
PRODUCTS_EFFICIENCY = 0.72  # fraction of the peak reached by a layer's matrix products and the operations between them
GATHER_WAIT = 0.4  # fraction of weight gathers and gradient scatters that does not overlap with compute
LOSS_CHUNKS = (1, 2, 4, 8, 16)  # tried in this order until a run fits
LARGEST_SPLIT = 8  # maximum devices along the model axis, and along the sequence axis


@dataclass(frozen=True)
class Candidate:
    """A way to train a run on a slice, with estimates."""

    job: Job  # the run with its original settings
    topology: str
    config: TrainConfig  # with the settings for this slice
    memory: Memory
    seconds: float  # estimated seconds per step

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that differ from the run's own, such as {"mesh.fsdp": 128}."""
        return differences(self.job.config, self.config)


def powers_of_two(limit: int) -> list[int]:
    """1, 2, 4, ... up to limit."""
    return [2**n for n in range(limit.bit_length()) if 2**n <= limit]


def meshes(config: TrainConfig, length: int, devices: int) -> Iterator[dict[str, int]]:
    """Yields every mesh over this number of devices whose axes divide the model and the batch."""
    model = config.model
    for split in powers_of_two(min(devices, LARGEST_SPLIT)):
        if model.heads % split or model.vocab_size % split:
            continue
        for sequence in powers_of_two(min(devices // split, LARGEST_SPLIT)):
            for fsdp in powers_of_two(devices // split // sequence):
                data, rest = divmod(devices, split * sequence * fsdp)
                uneven = length % sequence or model.width % (fsdp * sequence) or config.batch_size % (data * fsdp)
                if not rest and not uneven:
                    yield dict(zip(AXES, (data, fsdp, sequence, split), strict=True))


def bandwidth(tpu: Slice, devices: int) -> float:
    """Bytes/s of a ring over this number of adjacent devices, which fill the slice's longest axes first."""
    rest, spans = max(1, devices // tpu.chip.cores), [1] * len(tpu.shape)
    for size, axis in sorted(((size, axis) for axis, size in enumerate(tpu.shape)), reverse=True):
        spans[axis] = min(rest, size)
        rest = -(-rest // size)
    return tpu.ring_bandwidth(spans)


def guess_seconds(config: TrainConfig, length: int, tpu: Slice, mesh: dict[str, int]) -> float:
    """Estimated seconds per step: matrix products, attention, and communication of weights, gradients, activations."""
    chip, model, optimizer = tpu.chip, config.model, config.optimizer
    data, fsdp, sequence, split = (mesh[axis] for axis in AXES)
    tokens = config.batch_size * length / tpu.devices
    remat, matrices = REMAT[model.remat], model.layers * layer_matrix_parameters(model)
    flops = flops_per_token(model, 0) + 2 * model.layers * layer_matrix_parameters(model, remat.linear_layers)
    flops += (2 * model.vocab_size * model.width) if config.loss_chunks > 1 else 0
    # Attention's products over the causal half: 2 forward, 7 in the two backward kernels, 2 if it is recomputed.
    kernels = (9 + 2 * remat.attention) * model.layers * length * model.width
    compute = flops / PRODUCTS_EFFICIENCY + kernels / kernel_efficiency(model, chip)
    seconds = tokens * compute / (chip.peak_flops / chip.cores)

    shards = fsdp * sequence
    weights = matrices / split * BYTES[model.gather_dtype] * (shards - 1) / shards
    # Each microbatch gathers weights forward and backward, and scatters gradients once. If parameters are split over
    # all devices, the compiler instead all-reduces whole gradients, which blocks, and keeps a shard of the result.
    scatters = 2 if shards == tpu.devices else GATHER_WAIT
    seconds += (2 * GATHER_WAIT + scatters) * config.accumulation * weights / bandwidth(tpu, shards)
    # Data-parallel copies all-reduce their float32 gradients at the end of the step.
    seconds += 2 * (data - 1) / data * 4 * matrices / split / shards / bandwidth(tpu, data)
    activations = tokens * split * model.layers * model.width * BYTES[model.compute_dtype]
    recomputed = 1 if remat.linear_layers else 0
    seconds += (4 + recomputed) * 2 * activations * (split - 1) / split / bandwidth(tpu, split)
    seconds += (2 + recomputed) * 2 * activations * (sequence - 1) / split / bandwidth(tpu, sequence)
    if optimizer.offload:
        moments = (4 + BYTES[optimizer.first_moment_dtype]) * matrices / shards / split
        seconds += 2 * moments / PCIE_BANDWIDTH
    return seconds


def memory_savers(config: TrainConfig, change_optimizer: bool) -> Iterator[TrainConfig]:
    """Yields the config, and then variants that use less and less memory but more time."""
    chunked = [dataclasses.replace(config, loss_chunks=n) for n in LOSS_CHUNKS if n > config.loss_chunks]
    yield from (config, *chunked)
    if change_optimizer:
        last = chunked[-1] if chunked else config
        for change in ({"first_moment_dtype": "bfloat16"}, {"offload": True}):
            yield dataclasses.replace(last, optimizer=dataclasses.replace(config.optimizer, **change))


def candidates(job: Job, topology: str, free: float = FREE, change_optimizer: bool = False) -> list[Candidate]:
    """Candidates estimated to leave a fraction `free` of HBM, fastest first. change_optimizer: vary its settings."""
    tpu, config, found = parse_topology(topology), job.config, []
    limit = tpu.chip.hbm_bytes / tpu.chip.cores * (1 - free)
    gather_dtypes = dict.fromkeys((config.model.gather_dtype, config.model.compute_dtype))
    for mesh in meshes(config, job.length, tpu.devices):
        accumulations = powers_of_two(config.batch_size // mesh["data"] // mesh["fsdp"])
        for accumulation, remat, gather_dtype in itertools.product(
            accumulations, typing.get_args(RematPolicy), gather_dtypes
        ):
            model = dataclasses.replace(config.model, remat=remat, gather_dtype=gather_dtype)
            placed = dataclasses.replace(config, model=model, mesh=MeshConfig(**mesh), accumulation=accumulation)
            for one in memory_savers(placed, change_optimizer):
                if job.length % (mesh["sequence"] * one.loss_chunks):
                    continue
                memory = estimate(one, mesh, job.length)
                if memory.total <= limit:
                    seconds = guess_seconds(one, job.length, tpu, mesh)
                    found.append(Candidate(job, topology, one, memory, seconds))
                    break
    return sorted(found, key=lambda one: one.seconds)


def distinct(found: list[Candidate], count: int) -> list[Candidate]:
    """The first `count` candidates, with at most two per mesh and one per mesh and remat policy."""
    chosen: list[Candidate] = []
    for one in found:
        same_mesh = [other.config for other in chosen if other.config.mesh == one.config.mesh]
        if len(same_mesh) < 2 and all(other.model.remat != one.config.model.remat for other in same_mesh):
            chosen.append(one)
        if len(chosen) == count:
            break
    return chosen


def smallest(job: Job, kinds: Iterable[str] = tuple(SHAPES), free: float = FREE) -> list[Candidate]:
    """For each kind of chip, the fastest candidate on the smallest slice that fits. Kinds without one are left out."""
    found = []
    for kind in kinds:
        topologies = [f"{kind}:{shape}" for shape in SHAPES[kind]]
        for topology in sorted(topologies, key=lambda name: parse_topology(name).chips):
            if fitting := candidates(job, topology, free):
                found.append(fitting[0])
                break
    return found
