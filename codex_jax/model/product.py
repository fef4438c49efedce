"""A product of activations with a weight, with its gradient as XLA's CPU is fastest at it."""

import jax
import jax.numpy as jnp

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
