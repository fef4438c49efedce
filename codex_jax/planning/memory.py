"""Bytes that a training step takes on one device, estimated in a moment; codex_jax.plan compiles it and knows.

Held all along: parameters and both moments. During the step: gradients; what the remat policy saves of each layer; the
activations of the one layer at work; its gathered weights and their gradients; the logits and their gradients, a loss
chunk at a time. Over the compiler's figure (`python experiments/benches/bench_plan.py --parts memory`) it is 0.99 to 1.16 for
300m and 12b on v5e, 0.86 to 1.34 where sequences are split, and 1.06 to 1.5 for small steps on a CPU.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields

from codex_jax.config import TrainConfig
from codex_jax.model.geometry import layer_matrix_parameters, parameters
from codex_jax.model.remat import REMAT, Widths
from codex_jax.parallel.mesh import AXES

BYTES = {"float32": 4, "bfloat16": 2}

WORKING = Widths(8, 16, 14)  # activations of the layer whose gradients are being computed
LANES = 128  # a head takes as many on a TPU, and twice that where it is narrower and laid out anew
SCORES = 12  # bytes a score of attention without a kernel: float32, its gradient and its mask
GATHERED_LAYERS = 3  # whose weights are whole at once: the next one's arrive while one is at work, and some linger


@dataclass(frozen=True)
class Memory:
    """Bytes on one device."""

    parameters: int
    moments: int  # on the device: 0 where they lie in the host's memory
    gradients: int
    saved: int  # activations, from forward to backward
    table: int  # the embedding, gathered, and its gradient in float32
    working: int  # the most that is at work at once: a layer, or the logits

    @property
    def total(self) -> int:
        """All of it."""
        return sum(getattr(self, field.name) for field in fields(self))


def ways(config: TrainConfig, devices: int) -> dict[str, int]:
    """Devices along each mesh axis, with what -1 stands for."""
    sizes = {axis: getattr(config.mesh, axis) for axis in AXES}
    fixed = math.prod(size for size in sizes.values() if size != -1)
    return {axis: devices // fixed if size == -1 else size for axis, size in sizes.items()}


def estimate(
    config: TrainConfig, mesh: Mapping[str, int], length: int, kernel: bool = True, tiled: bool = True
) -> Memory:
    """mesh: devices along each axis; length: of sequences; kernel: attention is a fused one, that keeps no scores;
    tiled: arrays are padded as a TPU's are."""
    model, optimizer = config.model, config.optimizer
    width, size = model.width, BYTES[model.compute_dtype]
    split = mesh["model"]
    parts = mesh["fsdp"] * mesh["sequence"] * split
    sequences = config.batch_size / config.accumulation / mesh["data"] / mesh["fsdp"]
    tokens = sequences * length / mesh["sequence"]

    params = 4 * parameters(model) / parts
    moments = 0 if optimizer.offload else params * (BYTES[optimizer.first_moment_dtype] + 4) / 4

    head = model.width // model.heads
    padding = 2 * LANES / head if tiled and head % LANES else 1.0

    def activations(widths: Widths) -> float:
        return tokens * width * size * ((widths.heads * padding + widths.split) / split + widths.whole)

    scores = 0.0 if kernel else SCORES * tokens * length * model.heads / split
    saved = model.layers * (activations(REMAT[model.remat].widths) + (scores if model.remat == "none" else 0))
    # Weights are gathered in one dtype and cast to another where the two differ; gradients are scattered in the first.
    gradient = BYTES[model.gather_dtype]
    gathered = gradient + (size if model.gather_dtype != model.compute_dtype else 0)
    layer = layer_matrix_parameters(model) / split
    weights = (GATHERED_LAYERS * gathered + gradient) * layer if parts > split else (size + gradient) * layer
    table = model.vocab_size * width / split * (gathered + 4)
    # The logits, and their gradient in the compute dtype.
    logits = tokens / config.loss_chunks * model.vocab_size / split * (4 + size)
    return Memory(
        parameters=round(params),
        moments=round(moments),
        gradients=round(params * (2 if config.accumulation > 1 else 1)),
        saved=round(saved),
        table=round(table),
        working=round(max(activations(WORKING) + scores + weights, logits)),
    )
