"""Causal attention in plain JAX: over packed documents, and of one new token per row over a KV cache.

Callers multiply queries by the score scale. Scores and softmax are float32. A window of w limits each token to its
last w tokens, itself included; 0 is no limit.

Axes: B sequences or rows, T queries, S keys, H heads, D head size; in the cache, G prompts, R rows of each prompt
(B = G x R), P positions of a prompt.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp

from codex_jax.model.cache import Prefix, Suffix, next_positions
from codex_jax.parallel.mesh import platform

Array = jax.Array

# Queries are processed in blocks. More blocks skip more of the masked products, but take longer to compile.
MIN_BLOCK, MAX_BLOCKS = 128, 4
MASKED = -1e30  # score of a masked key


def attend_packed(
    query_BTHD: Array, key_BTHD: Array, value_BTHD: Array, segment_ids_BT: Array, window: Array | int = 0
) -> Array:
    """Attention of each token to its document's tokens so far, within the window; -> [B, T, H, D].

    Each block of queries is multiplied only with the keys up to its end: four blocks compute five eighths of all
    scores. A constant window (int) also skips the keys before it; a traced window (int32 []) only masks them.
    """
    length = query_BTHD.shape[1]
    block = -(-length // max(1, min(length // MIN_BLOCK, MAX_BLOCKS)))
    # Moving heads before tokens here is faster than in each product.
    query, key, value = (x.swapaxes(1, 2) for x in (query_BTHD, key_BTHD, value_BTHD))
    outputs = []
    for start in range(0, length, block):
        queries = slice(start, min(start + block, length))
        skipped = max(0, start - window + 1) if isinstance(window, int) and window else 0
        keys = slice(skipped, queries.stop)
        mask = packed_mask(segment_ids_BT, window, queries, keys)
        outputs.append(_attend_heads_first(query[:, :, queries], key[:, :, keys], value[:, :, keys], mask))
    return jnp.concatenate(outputs, axis=2).swapaxes(1, 2)


def packed_mask(
    segment_ids_BT: Array, window: Array | int = 0, queries: slice = slice(None), keys: slice = slice(None)
) -> Array:
    """bool [B, 1, T, S]: whether a query attends to a key: causal, in the same document, within the window."""
    length = segment_ids_BT.shape[1]
    index = jnp.arange(length)
    distance = index[queries, None] - index[keys]
    mask = (segment_ids_BT[:, queries, None] == segment_ids_BT[:, None, keys]) & (distance >= 0)
    if isinstance(window, Array):
        mask &= distance < jnp.where(window > 0, window, length)
    elif window:
        mask &= distance < window
    return mask[:, None]


def attend(query_BTHD: Array, key_BSHD: Array, value_BSHD: Array, mask: Array) -> Array:
    """softmax(query key) value; mask: bool, broadcastable to [B, H, T, S]; -> [B, T, H, D]."""
    query, key, value = (x.swapaxes(1, 2) for x in (query_BTHD, key_BSHD, value_BSHD))
    return _attend_heads_first(query, key, value, mask).swapaxes(1, 2)


def _attend_heads_first(query_BHTD: Array, key_BHSD: Array, value_BHSD: Array, mask: Array) -> Array:
    scores = jnp.einsum("bhtd,bhsd->bhts", query_BHTD, key_BHSD, preferred_element_type=jnp.float32)
    weights = jax.nn.softmax(jnp.where(mask, scores, MASKED), axis=-1)
    return jnp.einsum("bhts,bhsd->bhtd", weights.astype(value_BHSD.dtype), value_BHSD)


class PartialSoftmax(NamedTuple):
    """float32 attention over some keys, to which others can be added (Milakov and Gimelshein, arXiv:1805.02867)."""

    largest: Array  # [...]: the largest score
    total: Array  # [...]: sum of exp(score - largest)
    values: Array  # [..., D]: sum of exp(score - largest) x value

    def merge(self, scores: Array, weighted_values: Callable[[Array], Array]) -> "PartialSoftmax":
        """Adds keys. scores: [..., keys]; weighted_values: weights [..., keys] -> weighted sum of values [..., D].

        If all scores of a row are MASKED, the row stays exactly the same.
        """
        largest = jnp.maximum(self.largest, scores.max(-1))
        scale, weights = jnp.exp(self.largest - largest), jnp.exp(scores - largest[..., None])
        total = self.total * scale + weights.sum(-1)
        return PartialSoftmax(largest, total, self.values * scale[..., None] + weighted_values(weights))


def attend_cached(
    query_BHD: Array,
    key_BHD: Array,
    value_BHD: Array,
    prefix: Prefix,
    suffix: Suffix,
    layer: int,
    longest: Array,
    window: int = 0,
) -> Array:
    """Attention of one new token per row to its prompt, its own suffix and itself; -> [B, H, D].

    The R rows of a prompt are adjacent. They form the query axis of its products, so that its keys and values are read
    once. longest: int32 [], the largest number of suffix slots in use; later blocks of the suffix are not read.
    """
    groups, _, capacity, _ = prefix.key[layer].shape
    batch, heads, _ = query_BHD.shape

    def by_prompt(x: Array) -> Array:  # [B, H, ...] -> [G, H, R, ...]
        return x.reshape(groups, batch // groups, *x.shape[1:]).swapaxes(1, 2)

    def by_row(x: Array) -> Array:  # [G, H, R, ...] -> [B, H, ...]
        return x.swapaxes(1, 2).reshape(batch, heads, *x.shape[3:])

    own_score = jnp.einsum("bhd,bhd->bh", query_BHD, key_BHD, preferred_element_type=jnp.float32)
    softmax = PartialSoftmax(own_score, jnp.ones_like(own_score), value_BHD.astype(jnp.float32))

    position_P = jnp.arange(capacity)
    seen = (position_P < prefix.length[:, None])[:, None, None]  # [G, 1, 1, P]
    if window:
        seen &= by_prompt(next_positions(prefix, suffix)[:, None, None] - position_P < window)
    keys, values = prefix.key[layer], prefix.value[layer]
    scores = jnp.einsum("ghrd,ghpd->ghrp", by_prompt(query_BHD), keys, preferred_element_type=jnp.float32)
    softmax = PartialSoftmax(*map(by_prompt, softmax))
    softmax = softmax.merge(jnp.where(seen, scores, MASKED), lambda w: _product("ghrp,ghpd->ghrd", w, values))
    softmax = PartialSoftmax(*map(by_row, softmax))

    def read(start: int, keys: Array, values: Array, softmax: PartialSoftmax) -> PartialSoftmax:
        slot = start + jnp.arange(keys.shape[2])
        seen = slot < suffix.length[:, None]
        if window:
            seen &= suffix.length[:, None] - slot < window
        scores = jnp.where(seen[:, None], _one_query("bhqd,bhsd->bhqs", query_BHD, keys), MASKED)
        return softmax.merge(scores, lambda w: _one_query("bhqs,bhsd->bhqd", w, values))

    for start, keys, values in zip(suffix.starts(), suffix.key[layer], suffix.value[layer], strict=True):
        # codex_jax.planning counts the branch for False, so that must be the one that reads the block.
        unused = longest <= start
        softmax = jax.lax.cond(unused, lambda same: same, partial(read, start, keys, values), softmax)
    return (softmax.values / softmax.total[..., None]).astype(value_BHD.dtype)


def _product(axes: str, weights: Array, values: Array) -> Array:
    return jnp.einsum(axes, weights.astype(values.dtype), values, preferred_element_type=jnp.float32)


def _one_query(axes: str, left_BHX: Array, right: Array) -> Array:
    # A TPU computes products with a single query on its vector units, which takes 2.6 times the cycles of a product
    # with eight queries on its matrix units.
    queries = 8 if platform() == "tpu" else 1
    left = jnp.pad(left_BHX[:, :, None], ((0, 0), (0, 0), (0, queries - 1), (0, 0)))
    return _product(axes, left, right)[:, :, 0]
