"""Draws one token per row: temperature, then top-k, then top-p (Holtzman et al. 2020; paper section 3.3: top-p 0.95).

It needs no sort, and two random numbers per row instead of one per token of the vocabulary. Weights are exponentials of
the logits, scaled so that the largest is 1. They have the shape [B, N, L]: the vocabulary in N rows of L lanes, so that
sums over N are vectorized over the lanes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.parallel.mesh import platform
from codex_jax.sampling.params import ProgramKey

Array = jax.Array

LANES = 128
ABOVE_ONE = 0x3F800001  # the bits of the first float32 above 1.0: non-negative floats are ordered like their bits
PARTS = 3  # each pass of the search divides the interval into this many parts
# Length of the innermost axis of a sum on a CPU. Longer axes, or integers beside floats, are 4 to 9 times slower.
CHAIN = 8
CUTOFF_SCOPE = "cutoff"  # named scope of the search loop, by which codex_jax.planning finds it in a compiled program

Number = Array | np.ndarray | float


class TokenDraw(NamedTuple):
    """token: int32 [B]; sampling_logp: float32 [B], its log probability under the distribution it was drawn from.

    log_sum: float32 [B], the logsumexp of the row's logits at temperature 1.
    """

    token: Array
    sampling_logp: Array
    log_sum: Array


def draw(
    program_key: ProgramKey,
    keys_B: Array,
    logits_BV: Array,
    temperature: Number,
    top_p: Number = 1.0,
    top_k: Number = 0,
) -> TokenDraw:
    """Draws one token per row with the row's own key. A token with logit -inf is never drawn.

    temperature, top_p and top_k are used if program_key has them. Ties at the edge of top-k or top-p are all kept.
    """
    best_B = logits_BV.max(axis=-1)
    if program_key.greedy:
        token = jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)
        return TokenDraw(token, jnp.zeros(token.shape), _log_sum(logits_BV, best_B))
    weights = folded(jnp.exp((logits_BV - best_B[:, None]) / temperature))
    if program_key.top_k:
        weights = largest(weights, top_k)
    if program_key.nucleus:
        weights = nucleus(weights, top_p)
    lanes = weights.sum(1)
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys_B)
    # Draw a lane by its sum, then a token of that lane: this takes one pass over the vocabulary.
    lane = inverse(lanes, uniform[:, 0])
    column = jnp.take_along_axis(weights, lane[:, None, None], axis=2)[..., 0]
    row = inverse(column, uniform[:, 1])
    weight = jnp.take_along_axis(column, row[:, None], axis=1)[:, 0]
    return TokenDraw(row * LANES + lane, jnp.log(weight / lanes.sum(-1)), _log_sum(logits_BV, best_B))


def _log_sum(logits_BV: Array, best_B: Array) -> Array:
    return best_B + jnp.log(folded(jnp.exp(logits_BV - best_B[:, None])).sum(1).sum(-1))


def folded(weights_BV: Array) -> Array:
    """[B, V] -> [B, N, L], padded with zeros."""
    batch, vocab = weights_BV.shape
    return jnp.pad(weights_BV, ((0, 0), (0, -vocab % LANES))).reshape(batch, -1, LANES)


def largest(weights_BNL: Array, top_k: Number) -> Array:
    """Sets all but the top_k largest weights to 0."""
    edge = cutoff(weights_BNL, lambda mass, count: count >= top_k, jnp.zeros(len(weights_BNL)))
    return jnp.where(weights_BNL >= edge[:, None, None], weights_BNL, 0.0)


def nucleus(weights_BNL: Array, top_p: Number) -> Array:
    """Sets to 0 all weights outside the smallest set whose sum is at least top_p of the total."""
    total = weights_BNL.sum(1).sum(-1)
    required = top_p * total
    # The weights below this bound sum to at most half of what top-p drops, so the search can start there.
    lowest = 0.5 * jnp.maximum(total - required, 0) / weights_BNL[0].size
    edge = cutoff(weights_BNL, lambda mass, count: mass >= required, lowest)
    return jnp.where(weights_BNL >= edge[:, None, None], weights_BNL, 0.0)


class Search(NamedTuple):
    """A search in progress, per row [B].

    low, high: int32, the bits of a threshold that keeps enough and of one that does not. count_low, count_high:
    float32, how many weights are at or above each; mass_high: float32, the sum of the weights at or above `high`.
    """

    low: Array
    high: Array
    count_low: Array
    count_high: Array
    mass_high: Array


def cutoff(weights_BNL: Array, enough: Callable[[Array, Array], Array], lowest_B: Array) -> Array:
    """float32 [B]: the largest threshold for which `enough` holds.

    enough(mass, count): bool [B], for the sum and the number of weights at or above it; must hold at lowest_B. The
    search is over the bits of a float32. It ends in a row when at most two weights, or no float, are between its
    bounds, so a row's result does not depend on other rows. Rows with ties continue to the last bit.
    """

    def unfinished(at: Search) -> Array:
        return (at.high - at.low > 1) & (at.count_low - at.count_high > 2)

    def narrowed(at: Search) -> Search:
        low, high, count_low, count_high, mass_high = at
        step = (high - low + PARTS - 1) // PARTS
        middles = [jnp.minimum(low + part * step, high) for part in range(1, PARTS)]
        for middle, (mass, count) in zip(middles, sums_above(weights_BNL, list(map(_float, middles))), strict=True):
            holds = enough(mass, count)
            low, count_low = jnp.where(holds, middle, low), jnp.where(holds, count, count_low)
            closer = ~holds & (middle < high)
            high, count_high = jnp.where(closer, middle, high), jnp.where(closer, count, count_high)
            mass_high = jnp.where(closer, mass, mass_high)
        new = Search(low, high, count_low, count_high, mass_high)
        return jax.tree.map(partial(jnp.where, unfinished(at)), new, at)

    low, zeros = jax.lax.bitcast_convert_type(lowest_B, jnp.int32), jnp.zeros_like(lowest_B)
    start = Search(low, jnp.full_like(low, ABOVE_ONE), jnp.full_like(zeros, weights_BNL[0].size), zeros, zeros)
    with jax.named_scope(CUTOFF_SCOPE):
        low, high, _, count, mass = jax.lax.while_loop(lambda at: unfinished(at).any(), narrowed, start)
        # Of the two weights left, take the larger one if it is enough without the smaller one.
        larger = jnp.where(weights_BNL < _float(high)[:, None, None], weights_BNL, 0.0).max((1, 2))
        return jnp.where(enough(mass + larger, count + 1), larger, _float(low))


def sums_above(weights_BNL: Array, edges: Sequence[Array]) -> list[tuple[Array, Array]]:
    """(sum, number) of the weights at or above each edge [B], float32 [B] each, in one pass over the weights."""
    chain = CHAIN if platform() == "cpu" else LANES
    weights = weights_BNL.reshape(len(weights_BNL), -1, chain)
    above = [weights >= edge[:, None, None] for edge in edges]
    parts = [part for one in above for part in (jnp.where(one, weights, 0.0), one.astype(jnp.float32))]
    zeros = (np.float32(0),) * len(parts)
    sums = [part.sum(1) for part in jax.lax.reduce(tuple(parts), zeros, _add, (2,))]
    return list(zip(sums[::2], sums[1::2], strict=True))


def _add(left: tuple, right: tuple) -> tuple:
    return tuple(one + other for one, other in zip(left, right, strict=True))


def _float(bits: Array) -> Array:
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def inverse(weights_BN: Array, uniform_B: Array) -> Array:
    """int32 [B]: where a row's running sum first exceeds uniform_B of its total; never a weight of 0.

    uniform_B: in [0, 1) and multiples of 2^-23, as JAX draws them, so that the product is below the total.
    """
    sums = jnp.where(weights_BN > 0, jnp.cumsum(weights_BN, axis=-1), 0.0)
    target = uniform_B * sums.max(-1)
    return jnp.argmax(sums > target[:, None], axis=-1).astype(jnp.int32)
