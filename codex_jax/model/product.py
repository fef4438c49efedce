"""Matrix products with weights: their layout over the mesh, their gradients, and their precision.

Axes: B sequences, T tokens, C width, M features of a layer, V vocabulary.
"""

import functools
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.parallel.mesh import constrain

Array = jax.Array


def gather(weight: Array, axes: tuple[str, ...], config: ModelConfig) -> Array:
    """Gathers a weight along its embedding axis in config.gather_dtype -> compute dtype; axes: its logical axes."""
    weight = constrain(weight.astype(config.gather_dtype), *axes)
    return _gather_embed(weight, axes).astype(config.compute_dtype)


@functools.partial(jax.custom_vjp, nondiff_argnums=(1,))
def _gather_embed(weight: Array, axes: tuple[str, ...]) -> Array:
    # Makes the embedding axis whole on every device, and splits the gradient along it again.
    return constrain(weight, *(None if axis == "embed" else axis for axis in axes))


_gather_embed.defvjp(
    lambda weight, axes: (_gather_embed(weight, axes), None),
    lambda axes, _, cotangent: (constrain(cotangent, *axes),),
)


@jax.custom_vjp
def product(x_BTC: Array, weight_CM: Array) -> Array:
    """-> [B, T, M]."""
    return jnp.einsum("btc,cm->btm", x_BTC, weight_CM)


def _product_backward(operands: tuple[Array, Array], cotangent_BTM: Array) -> tuple[Array, Array]:
    # By default JAX computes the weight's gradient as [M, C], transposing the larger operand, then transposes it.
    # This is faster on a CPU.
    x_BTC, weight_CM = operands
    return jnp.einsum("btm,cm->btc", cotangent_BTM, weight_CM), jnp.einsum("btc,btm->cm", x_BTC, cotangent_BTM)


product.defvjp(lambda *operands: (product(*operands), operands), _product_backward)


def transposed_product(x_BTM: Array, weight_CM: Array) -> Array:
    """-> [B, T, C]. JAX's own gradient already transposes the smaller operand."""
    return jnp.einsum("btm,cm->btc", x_BTM, weight_CM)


@jax.custom_vjp
def logits(hidden_BTC: Array, unembedding_VC: Array) -> Array:
    """-> float32 [B, T, V], split over the mesh along V; the gradient is computed in the dtype of the operands."""
    scores = jnp.einsum("btc,vc->btv", hidden_BTC, unembedding_VC, preferred_element_type=jnp.float32)
    return constrain(scores, ..., ..., "vocab")


def _logits_backward(operands: tuple[Array, Array], cotangent_BTV: Array) -> tuple[Array, Array]:
    hidden_BTC, unembedding_VC = operands
    cotangent = constrain(cotangent_BTV.astype(hidden_BTC.dtype), ..., ..., "vocab")
    return jnp.einsum("btv,vc->btc", cotangent, unembedding_VC), jnp.einsum("btv,btc->vc", cotangent, hidden_BTC)


logits.defvjp(lambda *operands: (logits(*operands), operands), _logits_backward)


def precise(config: ModelConfig, function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, to be jitted, with exact float32 products if the model computes in float32.

    By default JAX rounds the operands of a float32 product to 11 significant bits on a GPU and to 8 on a TPU.
    """

    @functools.wraps(function)
    def traced(*args: Any) -> Any:
        exact = config.compute_dtype == "float32"
        with jax.default_matmul_precision("highest") if exact else nullcontext():
            return function(*args)

    return traced
