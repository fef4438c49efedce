"""Causal attention: over a packed batch, and of new tokens over a cache."""

import jax
import jax.numpy as jnp

Array = jax.Array


def mask_of_packed(segment_ids_BT: Array, reach: Array | int | None = None) -> Array:
    """bool [B, 1, T, T]: query t sees key s where s <= t and both lie in one document, and t - s < reach if given."""
    same = segment_ids_BT[:, :, None] == segment_ids_BT[:, None, :]
    length = segment_ids_BT.shape[1]
    mask = same & jnp.tril(jnp.ones((length, length), bool))
    if reach is not None:
        place = jnp.arange(length)
        mask &= place[:, None] - place < reach
    return mask[:, None]


def attend(query_BTHD: Array, key_BSHD: Array, value_BSHD: Array, mask: Array) -> Array:
    """softmax(q k / sqrt(D)) v with float32 scores. mask: bool, broadcast to [B, H, T, S]; -> [B, T, H, D]."""
    scale = query_BTHD.shape[-1] ** -0.5
    scores = jnp.einsum("bthd,bshd->bhts", query_BTHD * scale, key_BSHD, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e30), axis=-1)
    return jnp.einsum("bhts,bshd->bthd", weights.astype(value_BSHD.dtype), value_BSHD)


def attend_cached(
    query_BHD: Array, key_BHD: Array, value_BHD: Array, prefix: tuple, suffix: tuple, reach: Array | None = None
) -> Array:
    """One new token of each of B samples over a prefix they share, a suffix of their own and itself; -> [B, H, D].

    prefix: (key [P, H, D], value, length int32 []); suffix: (key [B, H, S, D], value, length int32 []); reach:
    int32 [], how many of the last tokens, itself included, it sees (None: all). All samples are folded into the query
    axis of the prefix's products, so it is read once; one softmax runs over all scores.
    """
    prefix_key_PHD, prefix_value_PHD, prefix_length = prefix
    suffix_key_BHSD, suffix_value_BHSD, suffix_length = suffix
    places, slots = prefix_key_PHD.shape[0], suffix_key_BHSD.shape[2]
    query = query_BHD * query_BHD.shape[-1] ** -0.5
    f32, dtype = jnp.float32, value_BHD.dtype
    prefix_scores = jnp.einsum("bhd,phd->bhp", query, prefix_key_PHD, preferred_element_type=f32)
    suffix_scores = jnp.einsum("bhd,bhsd->bhs", query, suffix_key_BHSD, preferred_element_type=f32)
    own_score = jnp.einsum("bhd,bhd->bh", query, key_BHD, preferred_element_type=f32)[..., None]
    seen = jnp.concatenate([jnp.arange(places) < prefix_length, jnp.arange(slots) < suffix_length, jnp.ones(1, bool)])
    if reach is not None:
        position = prefix_length + suffix_length
        places_of = jnp.concatenate([jnp.arange(places), prefix_length + jnp.arange(slots), position[None]])
        seen &= position - places_of < reach
    scores = jnp.concatenate([prefix_scores, suffix_scores, own_score], axis=-1)
    weights = jax.nn.softmax(jnp.where(seen, scores, -1e30), axis=-1).astype(dtype)
    out = jnp.einsum("bhp,phd->bhd", weights[..., :places], prefix_value_PHD)
    out += jnp.einsum("bhs,bhsd->bhd", weights[..., places:-1], suffix_value_BHSD)
    return out + weights[..., -1:] * value_BHD
