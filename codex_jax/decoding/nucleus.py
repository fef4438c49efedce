"""Drawing one token: temperature, then the nucleus (Holtzman et al. 2020; paper section 3.3: top-p 0.95)."""

import jax
import jax.numpy as jnp

Array = jax.Array

FLOAT_BITS = 31  # of a non-negative float32; as integers they order as the floats do


def nucleus_threshold(probabilities_BV: Array, top_p: Array | float) -> Array:
    """float32 [B, 1]: the largest t for which the tokens with probability >= t hold at least top_p.

    Found bit by bit without sorting the vocabulary. Ties at the threshold are all kept.
    """

    def mass_at(bits: Array) -> Array:
        threshold = jax.lax.bitcast_convert_type(bits, jnp.float32)
        return jnp.where(probabilities_BV >= threshold, probabilities_BV, 0.0).sum(-1, keepdims=True)

    def try_bit(n: Array, bits: Array) -> Array:
        candidate = bits | (1 << (FLOAT_BITS - 1 - n))
        return jnp.where(mass_at(candidate) >= top_p, candidate, bits)

    start = jnp.zeros((probabilities_BV.shape[0], 1), jnp.int32)
    bits = jax.lax.fori_loop(0, FLOAT_BITS, try_bit, start)
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def draw(keys_B: Array, logits_BV: Array, temperature: Array | float, top_p: Array | float) -> Array:
    """int32 [B]: one token a row, by its own key; temperature 0 takes the most probable."""
    scaled = logits_BV / jnp.where(temperature > 0, temperature, 1.0)
    probabilities = jax.nn.softmax(scaled, axis=-1)
    kept = (probabilities >= nucleus_threshold(probabilities, top_p)) | (top_p >= 1.0)
    noise = jax.vmap(lambda key: jax.random.gumbel(key, logits_BV.shape[1:]))(keys_B)
    sampled = jnp.argmax(jnp.where(kept, scaled, -jnp.inf) + noise, axis=-1)
    return jnp.where(temperature > 0, sampled, jnp.argmax(logits_BV, axis=-1)).astype(jnp.int32)
