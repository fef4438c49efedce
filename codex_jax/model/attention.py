"""Causal attention: over a packed batch, and of new tokens over a cache."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp

from codex_jax.model.cache import Prefix, Suffix
from codex_jax.parallel.mesh import current_mesh, platform_of

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
    query_BHD: Array,
    key_BHD: Array,
    value_BHD: Array,
    prefix: Prefix,
    suffix: Suffix,
    layer: int,
    longest: Array,
    reach: int | None = None,
) -> Array:
    """One new token of each of B rows over its prompt, its own suffix and itself; -> [B, H, D].

    Rows lie by prompt: B / G of one, then of the next. They are folded into the query axis of the prompt's products,
    so it is read once; the parts are merged by log-sum-exp. longest: int32 [], how many slots of the suffix are in use
    at most: a block that begins behind them is not read. reach: how many of the last tokens, itself included, it sees
    (None: all).
    """
    groups, heads, places, size = prefix.key[layer].shape
    batch, dtype = query_BHD.shape[0], value_BHD.dtype
    query = query_BHD * size**-0.5
    position_B = jnp.repeat(prefix.length, batch // groups) + suffix.length

    def by_prompt(x: Array) -> Array:  # [B, H, ...] -> [G, H, R, ...]
        return x.reshape(groups, batch // groups, *x.shape[1:]).swapaxes(1, 2)

    def by_row(x: Array) -> Array:
        return x.swapaxes(1, 2).reshape(batch, heads, *x.shape[3:])

    own = jnp.einsum("bhd,bhd->bh", query, key_BHD, preferred_element_type=jnp.float32)
    running: tuple = own, jnp.ones_like(own), value_BHD.astype(jnp.float32)

    place = jnp.arange(places)
    seen = (place < prefix.length[:, None])[:, None, None]  # [G, 1, 1, P]
    if reach is not None:
        seen &= by_prompt(position_B[:, None, None] - place < reach)
    keys, values = prefix.key[layer], prefix.value[layer]
    scores = jnp.einsum("ghrd,ghpd->ghrp", by_prompt(query), keys, preferred_element_type=jnp.float32)
    running = tuple(map(by_prompt, running))
    running = _merged(running, jnp.where(seen, scores, -1e30), lambda w: _product("ghrp,ghpd->ghrd", w, values))
    running = tuple(map(by_row, running))

    def read(start: int, keys: Array, values: Array, running: tuple) -> tuple:
        slot = start + jnp.arange(keys.shape[2])
        seen = slot < suffix.length[:, None]
        if reach is not None:
            seen &= suffix.length[:, None] - slot < reach
        scores = _one_query("bhqd,bhsd->bhqs", query, keys)
        masked = jnp.where(seen[:, None], scores, -1e30)
        return _merged(running, masked, lambda w: _one_query("bhqs,bhsd->bhqd", w, values))

    for start, keys, values in zip(suffix.starts(), suffix.key[layer], suffix.value[layer], strict=True):
        # Planning counts the first branch, which is that of False.
        kept = longest <= start
        running = jax.lax.cond(kept, lambda state: state, partial(read, start, keys, values), running)
    _, total, out = running
    return (out / total[..., None]).astype(dtype)


def _product(axes: str, weights: Array, values: Array) -> Array:
    return jnp.einsum(axes, weights.astype(values.dtype), values, preferred_element_type=jnp.float32)


def _one_query(axes: str, left_BHX: Array, right: Array) -> Array:
    # A TPU takes products of one query to its vector units, at 2.6 times the cycles of its matrix units with eight.
    queries = 8 if platform_of(current_mesh()) == "tpu" else 1
    left = jnp.pad(left_BHX[:, :, None], ((0, 0), (0, 0), (0, queries - 1), (0, 0)))
    return _product(axes, left, right)[:, :, 0]


def _merged(running: tuple, scores: Array, weighted: Callable[[Array], Array]) -> tuple:
    """(largest score, sum of exponentials, weighted sum of values) with more scores; float32, [...], [...], [..., D].

    What is masked in a row leaves its three numbers exactly as they were.
    """
    best, total, out = running
    top = jnp.maximum(best, scores.max(-1))
    scale, weights = jnp.exp(best - top), jnp.exp(scores - top[..., None])
    return top, total * scale + weights.sum(-1), out * scale[..., None] + weighted(weights)
