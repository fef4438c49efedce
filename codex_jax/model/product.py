"""Products: of activations with a weight, with its gradient as XLA's CPU is fastest at it; and how precise all are."""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig

Array = jax.Array


@jax.custom_vjp
def product(x_BTC: Array, weight_CM: Array) -> Array:
    """-> [B, T, M]."""
    return jnp.einsum("btc,cm->btm", x_BTC, weight_CM)


def _backward(operands: tuple[Array, Array], slope_BTM: Array) -> tuple[Array, Array]:
    # JAX's own rule makes the weight's gradient as [M, C], of the larger operand transposed, and transposes it.
    x_BTC, weight_CM = operands
    return jnp.einsum("btm,cm->btc", slope_BTM, weight_CM), jnp.einsum("btc,btm->cm", x_BTC, slope_BTM)


product.defvjp(lambda *operands: (product(*operands), operands), _backward)


def precise(config: ModelConfig, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, for jax.jit: where the model computes in float32 its products are of float32 on every platform.

    By itself JAX rounds their factors to 11 bits on a GPU and to 8 on a TPU.
    """

    @functools.wraps(function)
    def traced(*args: Any) -> Any:
        whole = config.compute_dtype == "float32"
        with jax.default_matmul_precision("highest") if whole else nullcontext():
            return function(*args)

    return traced
