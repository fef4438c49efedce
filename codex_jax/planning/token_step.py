"""Projected speed of the sampler's compiled programs; docs/planning.md explains the formulas.

A step draws one token of every row.
"""

import math
from dataclasses import dataclass
from typing import Annotated

from jax.sharding import Mesh

from codex_jax.config import ModelConfig
from codex_jax.model.geometry import layer_matrix_parameters
from codex_jax.planning.chips import Slice
from codex_jax.planning.hlo import Costs
from codex_jax.planning.projection import communication_seconds, kernel_efficiency
from codex_jax.planning.units import COUNT, FLOPS, GIB, MIB, MILLISECONDS
from codex_jax.sampling.nucleus import CUTOFF_SCOPE
from codex_jax.sampling.programs import copies_of
from codex_jax.sampling.rows import advance
from codex_jax.sampling.scheduler import STEPS

# HumanEval's problems, the paper's samples per problem, and an assumed number of tokens per sample.
PROBLEMS, SAMPLES, TOKENS = 164, 200, 150
NUCLEUS_PASSES = 11  # iterations of the nucleus search: 6 to 14 at top-p 0.95, for normal and Zipf-like logits
USABLE_HBM = 0.97  # fraction that the compiler can allocate: 15.75 of a v5e's 16 GiB, 31.25 of a v4's 32

STEP_LOOP = f"jit({advance.__name__})/while"  # op_name of the loop over tokens


def trip_count(op_name: str) -> int | None:
    """Iterations of a loop in `advance`: STEPS over tokens, NUCLEUS_PASSES in the nucleus search, None for others."""
    if op_name.endswith(f"{CUTOFF_SCOPE}/while"):
        return NUCLEUS_PASSES
    return STEPS if op_name == STEP_LOOP else None


def step_flops(config: ModelConfig, batch: int, positions: int) -> float:
    """FLOPs on all chips for one token of each of `batch` rows. positions: keys that each row attends to."""
    weights = config.layers * layer_matrix_parameters(config) + config.vocab_size * config.width
    return 2.0 * batch * (weights + 2 * config.layers * config.width * positions)


def prefill_flops(config: ModelConfig, prompts: int, positions: int) -> float:
    """FLOPs on all chips to prefill prompts, with the causal half of attention and without logits."""
    return 2.0 * prompts * positions * config.layers * (layer_matrix_parameters(config) + config.width * positions)


def largest_batch(hbm: int, peak: int, rows: int, growing: int) -> int:
    """The number of rows of one copy of the model that fit a device.

    hbm: the device's bytes; peak: bytes used with `rows` rows, of which `growing` bytes are proportional to the rows.
    """
    return max(0, math.floor(rows + (hbm * USABLE_HBM - peak) * rows / growing))


@dataclass(frozen=True)
class TokenStep:
    """Costs of one token of every row; bytes, FLOPs and cycles are per chip, tokens per second for all chips."""

    read_bytes: Annotated[int, "bytes read per step", GIB]
    flops: Annotated[float, "FLOPs per step", FLOPS]
    cycles: Annotated[int, "estimated cycles per step", COUNT]
    collective_bytes: Annotated[dict[str, int], "sent per step by", MIB]
    read_seconds: Annotated[float, "reading", MILLISECONDS]
    flop_seconds: Annotated[float, "FLOPs at the peak", MILLISECONDS]
    cycle_seconds: Annotated[float, "cycles", MILLISECONDS]
    asynchronous_seconds: Annotated[float, "communication during compute", MILLISECONDS]
    waiting_seconds: Annotated[float, "communication that blocks compute", MILLISECONDS]
    seconds: Annotated[float, "projected step, one token of every sample", MILLISECONDS]
    tokens_per_second: Annotated[float, "tokens/s, all chips", COUNT]
    tokens_per_second_slow: Annotated[float, "tokens/s if cycles begin after reading", COUNT]


def program_seconds(costs: Costs, tpu: Slice, mesh: Mesh, read_bytes: float, flops: float) -> dict[str, float]:
    """The times of a program by cause, and in total as "seconds". read_bytes, flops: per device.

    The compiler prefetches weights during compute and counts no cycles for it, so "seconds" is the longest of reading,
    FLOPs, cycles and asynchronous communication, plus communication that blocks compute.
    """
    chip = tpu.chip
    blocking, asynchronous = communication_seconds(costs.collectives, tpu, mesh)
    measures = {
        "cycle_seconds": costs.cycles / chip.clock,
        "read_seconds": read_bytes / (chip.hbm_bandwidth / chip.cores),
        "flop_seconds": flops / (chip.peak_flops / chip.cores),
        "asynchronous_seconds": asynchronous,
    }
    return measures | {"waiting_seconds": blocking, "seconds": max(measures.values()) + blocking}


def project_step(
    costs: Costs, config: ModelConfig, tpu: Slice, mesh: Mesh, batch: int, positions: int, read_bytes: int
) -> TokenStep:
    """Projects one token of every row from the costs of `advance`, which draws STEPS tokens.

    batch: rows on all chips; positions: keys that each row attends to; read_bytes: bytes that a device reads per token.
    """
    flops = step_flops(config, batch, positions) / mesh.devices.size
    whole = program_seconds(costs, tpu, mesh, read_bytes * STEPS, flops * STEPS)
    step = {name: seconds / STEPS for name, seconds in whole.items()}
    slow = step["cycle_seconds"] + step["read_seconds"] + step["waiting_seconds"]
    return TokenStep(
        read_bytes=read_bytes * tpu.chip.cores,
        flops=flops * tpu.chip.cores,
        cycles=round(costs.cycles / STEPS),
        collective_bytes={kind: round(count / STEPS) for kind, count in costs.collective_bytes().items()},
        tokens_per_second=batch / step["seconds"],
        tokens_per_second_slow=batch / slow,
        **step,
    )


def project_prefill(
    costs: Costs, config: ModelConfig, tpu: Slice, mesh: Mesh, positions: int, weight_bytes: int
) -> float:
    """Seconds in which every copy of the model prefills one prompt. positions: the prompt's length with padding."""
    chip = tpu.chip
    flops = prefill_flops(config, copies_of(mesh), positions) / mesh.devices.size
    kernel_flops = sum(costs.custom_calls.values()) * 2 * positions**2 * config.width / mesh.shape["model"]
    kernels = kernel_flops / (chip.peak_flops / chip.cores) / kernel_efficiency(config, chip)
    return program_seconds(costs, tpu, mesh, weight_bytes, flops)["seconds"] + kernels


def human_eval_seconds(tokens_per_second: float, prefill_seconds: float, copies: int) -> float:
    """Seconds to draw SAMPLES samples of each HumanEval problem if every row is always busy."""
    return PROBLEMS * SAMPLES * TOKENS / tokens_per_second + math.ceil(PROBLEMS / copies) * prefill_seconds
