"""int8 weights for decoding: symmetric, one scale per output of a linear layer; products are in the compute dtype."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from codex_jax.model.geometry import contraction_axis

Array = jax.Array

LARGEST = 127


def quantize(params: Any, free: bool = False) -> Any:
    """The parameter tree with the kernels of linear layers in int8, and their float32 scales beside them as "scale".

    Embeddings, norms and biases do not change. free: deletes each kernel once it is converted, to save memory.
    """

    def convert(name: str, tree: Any) -> Any:
        if "kernel" not in tree:
            return tree
        kernel, scale = _quantize_kernel(tree["kernel"], 1 + contraction_axis(name))  # 1: the layer axis
        if free:
            tree["kernel"].delete()
        return {**tree, "kernel": kernel, "scale": scale}

    return {**params, "blocks": {name: convert(name, tree) for name, tree in params["blocks"].items()}}


@partial(jax.jit, static_argnums=1)
def _quantize_kernel(kernel: Array, inputs: int) -> tuple[Array, Array]:
    # [layers, width, features] -> (int8 of the same shape, float32 [layers, outputs]); inputs: the contraction axis.
    # The scale of a kernel of zeros is 1.
    largest = jnp.abs(kernel).max(axis=inputs, keepdims=True).astype(jnp.float32)
    scale = jnp.where(largest > 0, largest / LARGEST, 1.0)
    return jnp.round(kernel / scale).astype(jnp.int8), scale.squeeze(inputs)
