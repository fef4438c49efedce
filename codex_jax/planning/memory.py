"""Estimates the memory of a training step on one device without compiling it.

It counts parameters, both moments, gradients, the activations that the remat policy saves, and the larger of one
layer's computation (activations, gathered weights and their gradients) and one loss chunk's logits with their gradient.
docs/planning.md compares the estimate with the compiler's figure.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

from codex_jax.config import TrainConfig
from codex_jax.model.geometry import head_dim, layer_matrix_parameters, parameters
from codex_jax.model.remat import REMAT, Widths

BYTES = {"float32": 4, "bfloat16": 2}  # per number

WORKING = Widths(8, 16, 14)  # activations of the layer whose gradients are being computed
LANES = 128  # a TPU pads an array's last axis to a multiple of this; arrays of narrower heads exist in two layouts
SCORE_BYTES = 12  # per attention score without a fused kernel: float32 score, gradient and mask
GATHERED_LAYERS = 3  # layers whose gathered weights exist at once: some are prefetched, and some are freed late


@dataclass(frozen=True)
class Memory:
    """Bytes on one device."""

    parameters: int
    moments: int  # 0 if they are in host memory
    gradients: int
    saved: int  # activations kept from the forward to the backward pass
    table: int  # the gathered embedding, and its gradient in float32
    working: int  # the larger of one layer's computation and the logits with their gradient

    @property
    def total(self) -> int:
        """The sum."""
        return sum(getattr(self, field.name) for field in fields(self))


def estimate(
    config: TrainConfig, mesh: Mapping[str, int], length: int, fused: bool = True, padded: bool = True
) -> Memory:
    """Estimates the memory of one step.

    mesh: devices along each axis; length: tokens per sequence; fused: whether attention runs in a kernel that stores no
    scores; padded: whether arrays are padded to LANES, as on a TPU.
    """
    model, optimizer = config.model, config.optimizer
    compute_bytes, gradient_bytes = BYTES[model.compute_dtype], BYTES[model.gather_dtype]
    split = mesh["model"]
    shards = mesh["fsdp"] * mesh["sequence"] * split
    sequences = config.batch_size / config.accumulation / mesh["data"] / mesh["fsdp"]
    tokens = sequences * length / mesh["sequence"]

    params = 4 * parameters(model) / shards
    moments = 0 if optimizer.offload else params * (BYTES[optimizer.first_moment_dtype] + 4) / 4

    padding = 2 * LANES / head_dim(model) if padded and head_dim(model) % LANES else 1.0

    def activations(widths: Widths) -> float:
        per_token = (widths.heads * padding + widths.split) / split + widths.whole
        return tokens * model.width * compute_bytes * per_token

    scores = 0.0 if fused else SCORE_BYTES * tokens * length * model.heads / split
    saved = model.layers * (activations(REMAT[model.remat].widths) + (scores if model.remat == "none" else 0))
    # Weights are gathered in gather_dtype and converted if compute_dtype differs; gradients are in gather_dtype.
    weight_bytes = gradient_bytes + (compute_bytes if model.gather_dtype != model.compute_dtype else 0)
    layer = layer_matrix_parameters(model) / split
    if shards > split:
        weights = (GATHERED_LAYERS * weight_bytes + gradient_bytes) * layer
    else:
        weights = (compute_bytes + gradient_bytes) * layer
    table = model.vocab_size * model.width / split * (weight_bytes + 4)
    # The logits are float32, and their gradient has the compute dtype.
    logits = tokens / config.loss_chunks * model.vocab_size / split * (4 + compute_bytes)
    return Memory(
        parameters=round(params),
        moments=round(moments),
        gradients=round(params * (2 if config.accumulation > 1 else 1)),
        saved=round(saved),
        table=round(table),
        working=round(max(activations(WORKING) + scores + weights, logits)),
    )
