"""int8 weights for decoding: symmetric, a scale for each output of a layer's product, computed in the compute dtype."""

from typing import Any

import jax
import jax.numpy as jnp

from codex_jax.model.geometry import contraction_axis

Array = jax.Array

LARGEST = 127


def quantize(params: Any, free: bool = False) -> Any:
    """A model's parameters with the kernels of its layers in int8, and their scales beside them in float32.

    Embeddings, norms and biases stay as they are. Layers lie stacked: kernels are [layers, width, features]. free: each
    kernel is deleted when it is converted, so that no two copies of all are there at a time.
    """

    def linear(name: str, tree: Any) -> Any:
        if "kernel" not in tree:
            return tree
        kernel, scale = _quantized(tree["kernel"], 1 + contraction_axis(name))
        if free:
            tree["kernel"].delete()
        return {**tree, "kernel": kernel, "scale": scale}

    return {**params, "blocks": {name: linear(name, tree) for name, tree in params["blocks"].items()}}


def _quantized(kernel_LCF: Array, inputs: int) -> tuple[Array, Array]:
    # (int8 like the kernel, float32 [layers, outputs]); a kernel of zeros has a scale of 1.

    def convert(kernel: Array) -> tuple[Array, Array]:
        most = jnp.abs(kernel).max(axis=inputs, keepdims=True).astype(jnp.float32)
        scale = jnp.where(most > 0, most / LARGEST, 1.0)
        return jnp.round(kernel / scale).astype(jnp.int8), scale.squeeze(inputs)

    return jax.jit(convert)(kernel_LCF)
