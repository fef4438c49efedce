"""From the sampler's compiled programs to seconds: a step is one token of every row.

Bytes read: all weights, the prompts' keys and values, and every slot of the rows' own, because the row that has drawn
most decides what is read of all of them. FLOPs: 2 for each weight of a matrix product and row, 4 x width for each row,
layer and place that attention looks at.

The compiler keeps weights coming while it computes and counts no cycles for that, so a step is the longest of its
cycles over the clock, its bytes over HBM's bandwidth and its FLOPs over the peak, and then the communication that
nothing runs beside; in the slow figure cycles come after reading, as where nothing is read ahead. What the host does
between steps is not counted, nor what a row waits for its next sample.
"""

import math
from typing import Any

from jax.sharding import Mesh

from codex_jax.config import ModelConfig
from codex_jax.model.geometry import layer_matrix_parameters
from codex_jax.planning.chips import Chip, parse_topology
from codex_jax.planning.hlo import Costs, read_costs
from codex_jax.planning.projection import communication_seconds, kernel_efficiency
from codex_jax.sampling.scheduler import STEPS, Layout

PROBLEMS, SAMPLES, TOKENS = 164, 200, 150  # HumanEval, the paper's samples a problem, and a guess of each one's tokens
PASSES = 11  # of the search for the nucleus: 6 to 14 were counted at top-p 0.95, over normal and Zipf-like logits
USABLE = 0.97  # of HBM: what the compiler hands out (15.75 of a v5e's 16 GiB, 31.25 of a v4's 32)


def turns(name: str) -> int | None:
    """How often a loop of advance runs: STEPS tokens, PASSES for a nucleus."""
    if name.endswith("cutoff/while"):
        return PASSES
    return STEPS if name == "jit(advance)/while" else None


def step_flops(config: ModelConfig, batch: int, seen: int) -> float:
    """Of `batch` rows that look at so many places each, on all chips."""
    weights = config.layers * layer_matrix_parameters(config) + config.vocab_size * config.width
    return 2.0 * batch * (weights + 2 * config.layers * config.width * seen)


def prefill_flops(config: ModelConfig, prompts: int, places: int) -> float:
    """Of so many prompts, on all chips; no logits are made, and attention's causal half counts."""
    return 2.0 * prompts * places * config.layers * (layer_matrix_parameters(config) + config.width * places)


def largest_batch(hbm: int, peak: int, rows: int, growing: int) -> int:
    """Rows of a copy that fit where so many take `peak` bytes of a device, `growing` of them in proportion."""
    return max(0, math.floor(rows + (hbm * USABLE - peak) * rows / growing))


def seconds_of(costs: Costs, topology: str, chip: Chip, mesh: Mesh, read: float, flops: float) -> dict[str, float]:
    """Of one program on one core: by each measure, and together. read: bytes; flops: of the core."""
    waiting = communication_seconds([one for one in costs.collectives if one.waits], topology, mesh)
    beside = communication_seconds([one for one in costs.collectives if not one.waits], topology, mesh)
    measures = {
        "cycle_seconds": costs.cycles / chip.clock,
        "read_seconds": read / (chip.hbm_bandwidth / chip.cores),
        "flop_seconds": flops / (chip.peak_flops / chip.cores),
        "asynchronous_seconds": beside,
    }
    return measures | {"waiting_seconds": waiting, "seconds": max(measures.values()) + waiting}


def copy_bound(chip: Chip) -> Any:
    """Cycles that reading and writing so many bytes takes."""
    return lambda size: 2 * size / (chip.hbm_bandwidth / chip.cores) * chip.clock


def project_step(
    text: str, config: ModelConfig, topology: str, mesh: Mesh, shape: Layout, seen: int, read: int
) -> dict[str, Any]:
    """Of one token of every row. seen: places that it looks at; read: bytes that a device reads."""
    chip, _ = parse_topology(topology)
    costs, batch = read_costs(text, copy_bound(chip), turns), shape.groups * shape.rows
    sent = {kind: round(count / STEPS) for kind, count in costs.collective_bytes().items()}
    flops = step_flops(config, batch, seen) / mesh.devices.size
    whole = seconds_of(costs, topology, chip, mesh, read * STEPS, flops * STEPS)
    step = {name: seconds / STEPS for name, seconds in whole.items()}
    slow = step["cycle_seconds"] + step["read_seconds"] + step["waiting_seconds"]
    return {
        "read_bytes": read * chip.cores,
        "flops": flops * chip.cores,
        "cycles": round(costs.cycles / STEPS),
        "collective_bytes": sent,
        **step,
        "tokens_per_second": batch / step["seconds"],
        "tokens_per_second_slow": batch / slow,
    }


def project_prefill(text: str, config: ModelConfig, topology: str, mesh: Mesh, places: int, read: int) -> float:
    """Seconds of a prompt for each copy of the model."""
    chip, _ = parse_topology(topology)
    costs, copies = read_costs(text, copy_bound(chip)), mesh.shape["data"] * mesh.shape["fsdp"]
    flops = prefill_flops(config, copies, places) / mesh.devices.size
    kernels = sum(costs.custom_calls.values()) * 2 * places**2 * config.width / mesh.shape["model"]
    waits = kernels / (chip.peak_flops / chip.cores) / kernel_efficiency(config, chip)
    return seconds_of(costs, topology, chip, mesh, read, flops)["seconds"] + waits


def human_eval_seconds(tokens_per_second: float, prefill: float, copies: int) -> float:
    """SAMPLES of each of its problems, with every row at work all the time."""
    return PROBLEMS * SAMPLES * TOKENS / tokens_per_second + math.ceil(PROBLEMS / copies) * prefill
