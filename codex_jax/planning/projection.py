"""From a compiled step's costs to seconds.

Model FLOPs: 6 for each weight of a matrix product and token, and attention's products with the causal half only;
nothing is added for what the backward pass computes again. MFU is these over step time and peak.

Compute is the compiler's estimated cycles over the clock, copies bounded by the time HBM takes to read and write them.
Kernels, which carry no estimate, run at KERNEL_EFFICIENCY of the peak, less where heads are smaller than a matrix unit.

Communication is the bytes a chip sends round a ring over topology.ring_bandwidth. What the compiler made asynchronous
runs beside compute, everything else waits: step = max(compute, asynchronous communication) + waiting communication.
Moments in the host's memory come and go over PCIe, which waits too.
"""

from typing import Any

from jax.sharding import Mesh

from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.model.geometry import layer_matrix_parameters
from codex_jax.planning.chips import Chip, ring_bandwidth
from codex_jax.planning.hlo import Collective, Costs, read_costs

# Of peak, for the causal half at heads as wide as a matrix unit; reasoned, not measured. A splash block of 512 x 512 at
# head 128 takes a v5e's matrix units about 1,000 cycles for 2 products, and its vector unit some 640 for about 10
# operations a score: 61% if they do not overlap. Of the 10 blocks (of 16) that a sequence of 2048 visits, the half
# counts 8: 0.61 x 0.8 = 0.49. Published figures are of another kernel: the benchmark in apple/axlearn of JAX's older
# flash attention with a dense bias (v4, 2 sequences of 2048, 40 heads of 128, blocks of 512: 1.6 ms forward, 7.1 ms
# with backward) comes to 0.20, so the plan states its MFU at that speed too.
KERNEL_EFFICIENCY = 0.5
SLOW_KERNELS = 0.2
# Products of attention in one kernel; dq and dkv make the scores again, each for itself.
KERNEL_PRODUCTS = {"dkv": 4, "dq": 3, "fwd": 2}
FUSED_BACKWARD = 5  # where dkv makes dq too
PCIE = 15e9  # bytes/s a chip each way, as in "How to scale your model"
PLANNED_TOKENS = 100e9


def flops_per_token(model: ModelConfig, length: int) -> float:
    """Model FLOPs of one training token in sequences of `length`, by the convention above."""
    products = model.layers * layer_matrix_parameters(model) + model.vocab_size * model.width
    return 6.0 * products + 6.0 * model.layers * length * model.width


def kernel_efficiency(model: ModelConfig, chip: Chip) -> float:
    """Of peak: heads narrower than the matrix unit leave a part of it idle."""
    return KERNEL_EFFICIENCY * min(1.0, model.width / model.heads / chip.matrix_unit)


def kernel_seconds(costs: Costs, config: TrainConfig, length: int, chip: Chip, chips: int) -> float:
    """Seconds of the attention kernels."""
    model = config.model
    product = config.batch_size / config.accumulation / chips * length**2 * model.width  # the causal half
    fused = not any("dq" in name for name in costs.custom_calls)
    products = KERNEL_PRODUCTS | ({"dkv": FUSED_BACKWARD} if fused else {})
    count = sum(
        next((n for key, n in products.items() if key in name), 2) * times for name, times in costs.custom_calls.items()
    )
    return count * product / chip.peak_flops / kernel_efficiency(model, chip)


def communication_seconds(collectives: list[Collective], topology: str, mesh: Mesh) -> float:
    """Seconds of all of them, one after the other."""
    places = [tuple(device.coords) for device in mesh.devices.flat]
    bandwidth: dict[tuple[int, ...], float] = {}
    for group in {one.group for one in collectives}:
        bandwidth[group] = ring_bandwidth(topology, [places[i] for i in group])
    return sum(one.bytes * one.times / bandwidth[one.group] for one in collectives)


def project(
    text: str, config: TrainConfig, length: int, topology: str, chip: Chip, mesh: Mesh, host_bytes: int
) -> dict[str, Any]:
    """What a compiled step's text says of its speed, as plan --json prints it; host_bytes: of moments, a chip."""
    chips = mesh.devices.size // chip.cores
    core_bandwidth = chip.hbm_bandwidth / chip.cores
    costs = read_costs(text, lambda size: 2 * size / core_bandwidth * chip.clock)
    kernels = kernel_seconds(costs, config, length, chip, chips)
    compute = costs.cycles / chip.clock + kernels
    waiting = communication_seconds([c for c in costs.collectives if c.waits], topology, mesh)
    beside = communication_seconds([c for c in costs.collectives if not c.waits], topology, mesh)
    host = 2 * host_bytes / PCIE
    tokens = config.batch_size * length
    flops = flops_per_token(config.model, length) * tokens / chips

    def step(compute: float) -> float:
        return max(compute, beside) + waiting + host

    seconds = step(compute)
    slow = step(compute + kernels * (KERNEL_EFFICIENCY / SLOW_KERNELS - 1))
    return {
        "collective_bytes": costs.collective_bytes(),
        "cycles": round(costs.cycles),
        "kernels": dict(costs.custom_calls),
        "compute_seconds": compute,
        "kernel_seconds": kernels,
        "waiting_seconds": waiting,
        "asynchronous_seconds": beside,
        "host_seconds": host,
        "step_seconds": seconds,
        "mfu": flops / seconds / chip.peak_flops,
        "mfu_slow_kernels": flops / slow / chip.peak_flops,
        "tokens_per_second": tokens / seconds,
        "days_for_100b_tokens": PLANNED_TOKENS / (tokens / seconds) / 86_400,
    }
