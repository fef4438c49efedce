"""Causal attention: over a packed batch, and of new tokens over a cache."""

import jax
import jax.numpy as jnp

Array = jax.Array


def mask_of_packed(segment_ids_BT: Array) -> Array:
    """bool [B, 1, T, T]: query t sees key s where s <= t and both lie in one document."""
    same = segment_ids_BT[:, :, None] == segment_ids_BT[:, None, :]
    length = segment_ids_BT.shape[1]
    return (same & jnp.tril(jnp.ones((length, length), bool)))[:, None]


def attend(query_BTHD: Array, key_BSHD: Array, value_BSHD: Array, mask: Array) -> Array:
    """softmax(q k / sqrt(D)) v with float32 scores. mask: bool, broadcast to [B, H, T, S]; -> [B, T, H, D]."""
    scale = query_BTHD.shape[-1] ** -0.5
    scores = jnp.einsum("bthd,bshd->bhts", query_BTHD * scale, key_BSHD, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e30), axis=-1)
    return jnp.einsum("bhts,bshd->bthd", weights.astype(value_BSHD.dtype), value_BSHD)


def attend_prefix_and_suffix(
    query_BHD: Array,
    prefix_key_PHD: Array,
    prefix_value_PHD: Array,
    prefix_mask_P: Array,
    suffix_key_BSHD: Array,
    suffix_value_BSHD: Array,
    suffix_mask_S: Array,
) -> Array:
    """One new token of each of B samples over a prefix they share and a suffix of their own; -> [B, H, D].

    The prefix is read once for all samples (they are folded into the query axis) and the two softmaxes are
    merged exactly by log-sum-exp: both parts are scaled by their own maximum, then weighted by exp(max).
    """
    scale = query_BHD.shape[-1] ** -0.5
    query = query_BHD * scale

    def part(scores: Array, mask: Array) -> tuple[Array, Array, Array]:
        scores = jnp.where(mask, scores, -1e30)
        peak = scores.max(-1, keepdims=True)
        weights = jnp.where(mask, jnp.exp(scores - peak), 0.0)
        return weights, peak, weights.sum(-1, keepdims=True)

    f32 = jnp.float32
    prefix_scores = jnp.einsum("bhd,phd->bhp", query, prefix_key_PHD, preferred_element_type=f32)
    suffix_scores = jnp.einsum("bhd,bshd->bhs", query, suffix_key_BSHD, preferred_element_type=f32)
    prefix_weights, prefix_peak, prefix_sum = part(prefix_scores, prefix_mask_P)
    suffix_weights, suffix_peak, suffix_sum = part(suffix_scores, suffix_mask_S)
    peak = jnp.maximum(prefix_peak, suffix_peak)
    dtype = prefix_value_PHD.dtype
    prefix_out = jnp.einsum("bhp,phd->bhd", prefix_weights.astype(dtype), prefix_value_PHD)
    suffix_out = jnp.einsum("bhs,bshd->bhd", suffix_weights.astype(dtype), suffix_value_BSHD)
    prefix_share, suffix_share = jnp.exp(prefix_peak - peak), jnp.exp(suffix_peak - peak)
    out = prefix_out * prefix_share + suffix_out * suffix_share
    return (out / (prefix_sum * prefix_share + suffix_sum * suffix_share)).astype(dtype)
