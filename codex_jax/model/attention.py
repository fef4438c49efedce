"""Causal attention: over a packed batch, and of new tokens over a cache."""

import jax
import jax.numpy as jnp

Array = jax.Array

LEAST_BLOCK, MOST_BLOCKS = 128, 4  # queries of a block, blocks of a sequence: more only add products to compile


def attend_packed(
    query_BTHD: Array, key_BTHD: Array, value_BTHD: Array, segment_ids_BT: Array, reach: Array | int | None = None
) -> Array:
    """Each token over its document's tokens so far, the last `reach` of them if given; -> [B, T, H, D].

    A block of queries at a time, each over the keys before its end only: two blocks do three quarters of the products
    of the whole square, four do five eighths.
    """
    length = query_BTHD.shape[1]
    size = -(-length // max(1, min(length // LEAST_BLOCK, MOST_BLOCKS)))
    # Heads before tokens once, and not in each product.
    query, key, value = _heads_first(query_BTHD, key_BTHD, value_BTHD)
    blocks = []
    for start in range(0, length, size):
        queries = slice(start, min(start + size, length))
        # A number says which keys are out of reach of all of the block; an array only masks them.
        keys = slice(max(0, start - reach + 1) if isinstance(reach, int) else 0, queries.stop)
        mask = mask_of_packed(segment_ids_BT, reach, queries, keys)
        blocks.append(_weighted(query[:, :, queries], key[:, :, keys], value[:, :, keys], mask))
    return jnp.concatenate(blocks, axis=2).swapaxes(1, 2)


def mask_of_packed(
    segment_ids_BT: Array, reach: Array | int | None = None, queries: slice = slice(None), keys: slice = slice(None)
) -> Array:
    """bool [B, 1, t, s]: query t sees key s where s <= t and both lie in one document, and t - s < reach if given."""
    place = jnp.arange(segment_ids_BT.shape[1])
    behind = place[queries, None] - place[keys]
    mask = (segment_ids_BT[:, queries, None] == segment_ids_BT[:, None, keys]) & (behind >= 0)
    if reach is not None:
        mask &= behind < reach
    return mask[:, None]


def attend(query_BTHD: Array, key_BSHD: Array, value_BSHD: Array, mask: Array) -> Array:
    """softmax(q k / sqrt(D)) v with float32 scores. mask: bool, broadcast to [B, H, T, S]; -> [B, T, H, D]."""
    return _weighted(*_heads_first(query_BTHD, key_BSHD, value_BSHD), mask).swapaxes(1, 2)


def _heads_first(query_BTHD: Array, key_BSHD: Array, value_BSHD: Array) -> tuple[Array, Array, Array]:
    scaled = query_BTHD * query_BTHD.shape[-1] ** -0.5
    return scaled.swapaxes(1, 2), key_BSHD.swapaxes(1, 2), value_BSHD.swapaxes(1, 2)


def _weighted(query_BHTD: Array, key_BHSD: Array, value_BHSD: Array, mask: Array) -> Array:
    scores = jnp.einsum("bhtd,bhsd->bhts", query_BHTD, key_BHSD, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, -1e30), axis=-1)
    return jnp.einsum("bhts,bhsd->bhtd", weights.astype(value_BHSD.dtype), value_BHSD)


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
