"""Projected speed of a compiled training step: times, MFU and tokens/s. docs/planning.md has the formulas in words."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from jax.sharding import Mesh

from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.model.geometry import head_dim, layer_matrix_parameters
from codex_jax.model.kernels import SPLASH_DKV, SPLASH_DQ, SPLASH_FORWARD
from codex_jax.planning.chips import Chip, Slice
from codex_jax.planning.hlo import Collective, Costs
from codex_jax.planning.units import COUNT, FRACTION, MIB, SECONDS

# Fraction of the peak that attention kernels reach on the causal half if heads are as wide as a matrix unit: assumed,
# and published for an older kernel. docs/planning.md explains both.
KERNEL_EFFICIENCY, SLOW_KERNEL_EFFICIENCY = 0.5, 0.2
# Matrix products in each attention kernel; dq and dkv each recompute the scores.
KERNEL_PRODUCTS = {SPLASH_DKV: 4, SPLASH_DQ: 3, SPLASH_FORWARD: 2}
FUSED_BACKWARD_PRODUCTS = 5  # matrix products of dkv if it also computes dq
PCIE_BANDWIDTH = 15e9  # bytes/s per chip in each direction, from "How to scale your model"
PLANNED_TOKENS = 100e9  # the paper's training tokens


@dataclass(frozen=True)
class StepProjection:
    """Projected times of one training step; bytes and cycles are per chip, tokens per second for all chips."""

    collective_bytes: Annotated[dict[str, int], "sent by", MIB]
    cycles: Annotated[int, "estimated cycles", COUNT]
    kernels: dict[str, int]  # executions of each kernel by op_name
    compute_seconds: Annotated[float, "compute", SECONDS]
    kernel_seconds: Annotated[float, "of which attention kernels", SECONDS]
    waiting_seconds: Annotated[float, "communication that blocks compute", SECONDS]
    asynchronous_seconds: Annotated[float, "communication during compute", SECONDS]
    host_seconds: Annotated[float, "moments to and from the host", SECONDS]
    step_seconds: Annotated[float, "projected step", SECONDS]
    mfu: Annotated[float, "projected MFU", FRACTION]
    mfu_slow_kernels: Annotated[float, f"with attention kernels at {SLOW_KERNEL_EFFICIENCY} of peak", FRACTION]
    tokens_per_second: Annotated[float, "tokens/s, all chips", COUNT]
    days_for_100b_tokens: Annotated[float, "days for 100 billion tokens", FRACTION]


def flops_per_token(model: ModelConfig, length: int) -> float:
    """Model FLOPs of one training token in sequences of `length`.

    Counts 6 for each weight of a matrix product (2 forward, 4 backward), and attention's products over the causal half
    of the sequence. Recomputation in the backward pass is not counted.
    """
    products = model.layers * layer_matrix_parameters(model) + model.vocab_size * model.width
    return 6.0 * products + 6.0 * model.layers * length * model.width


def model_flops(config: TrainConfig, length: int, chips: int) -> float:
    """Model FLOPs of one step per chip."""
    return flops_per_token(config.model, length) * (config.batch_size * length) / chips


def kernel_efficiency(model: ModelConfig, chip: Chip) -> float:
    """Fraction of the peak that attention kernels reach. Heads narrower than the matrix unit leave part of it idle."""
    return KERNEL_EFFICIENCY * min(1.0, head_dim(model) / chip.matrix_unit)


def kernel_seconds(kernels: dict[str, int], config: TrainConfig, length: int, tpu: Slice) -> float:
    """Seconds of the attention kernels in one step. kernels: executions of each by op_name."""
    model = config.model
    # FLOPs of one product: 2 per channel for each of the length^2 / 2 scores of the causal half.
    product = config.batch_size / config.accumulation / tpu.chips * length**2 * model.width
    fused = not any(SPLASH_DQ in name for name in kernels)
    products = KERNEL_PRODUCTS | ({SPLASH_DKV: FUSED_BACKWARD_PRODUCTS} if fused else {})
    count = sum(next((n for key, n in products.items() if key in name), 2) * times for name, times in kernels.items())
    return count * product / tpu.chip.peak_flops / kernel_efficiency(model, tpu.chip)


def communication_seconds(collectives: Sequence[Collective], tpu: Slice, mesh: Mesh) -> tuple[float, float]:
    """Returns (seconds of blocking collectives, seconds of asynchronous ones); each kind runs one after the other."""
    coordinates = np.array([device.coords[: len(tpu.shape)] for device in mesh.devices.flat])
    groups = {one.group for one in collectives}
    spans = {group: [len(set(positions)) for positions in coordinates[list(group)].T] for group in groups}
    bandwidth = {group: tpu.ring_bandwidth(spans[group]) for group in groups}

    def seconds(blocking: bool) -> float:
        return sum(one.bytes * one.times / bandwidth[one.group] for one in collectives if one.blocking == blocking)

    return seconds(True), seconds(False)


def project_training(
    costs: Costs, config: TrainConfig, length: int, tpu: Slice, mesh: Mesh, host_bytes: int
) -> StepProjection:
    """Projects a compiled step's speed from its costs. host_bytes: bytes of moments in host memory, per chip.

    Asynchronous collectives overlap with compute; blocking ones and transfers of moments over PCIe do not:
    step = max(compute, asynchronous) + blocking + host.
    """
    chip = tpu.chip
    kernels = kernel_seconds(costs.custom_calls, config, length, tpu)
    compute = costs.cycles / chip.clock + kernels
    blocking, asynchronous = communication_seconds(costs.collectives, tpu, mesh)
    host = 2 * host_bytes / PCIE_BANDWIDTH
    slow_compute = compute + kernels * (KERNEL_EFFICIENCY / SLOW_KERNEL_EFFICIENCY - 1)
    step, slow_step = (max(seconds, asynchronous) + blocking + host for seconds in (compute, slow_compute))
    flops = model_flops(config, length, tpu.chips)
    tokens_per_second = config.batch_size * length / step
    return StepProjection(
        collective_bytes=costs.collective_bytes(),
        cycles=round(costs.cycles),
        kernels=dict(costs.custom_calls),
        compute_seconds=compute,
        kernel_seconds=kernels,
        waiting_seconds=blocking,
        asynchronous_seconds=asynchronous,
        host_seconds=host,
        step_seconds=step,
        mfu=flops / step / chip.peak_flops,
        mfu_slow_kernels=flops / slow_step / chip.peak_flops,
        tokens_per_second=tokens_per_second,
        days_for_100b_tokens=PLANNED_TOKENS / tokens_per_second / 86_400,
    )
