"""Drawing one token: temperature, then top-k, then the nucleus (Holtzman et al. 2020; paper section 3.3: top-p 0.95).

Nothing is sorted and no noise is drawn for each token of the vocabulary. Weights are exponentials of the logits, the
largest 1, kept as [B, N, L]: the vocabulary in N rows of L lanes, so that sums run along the lanes.
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
ABOVE_ONE = 0x3F800001  # the float32 after 1.0, as an integer: non-negative floats order as their bits do
PARTS = 3  # into which a pass of the search divides what is left
# Additions that wait for each other on a CPU: longer ones, or integers beside floats, take 4 to 9 times as long.
CHAIN = 8


Number = Array | np.ndarray | float


class TokenDraw(NamedTuple):
    """token: int32 [B]; sampling_logp: float32 [B], its log probability among those kept.

    log_sum: float32 [B], of the exponentials of the row's logits, at temperature 1.
    """

    token: Array
    sampling_logp: Array
    log_sum: Array


def draw(
    kind: ProgramKey, keys_B: Array, logits_BV: Array, temperature: Number, top_p: Number = 1.0, top_k: Number = 0
) -> TokenDraw:
    """One token of each row, each by its row's own key; logits of -inf are never drawn.

    kind.greedy takes the most probable; temperature, top_p and top_k count where the kind has them. Ties at an edge
    are all kept.
    """
    best_B = logits_BV.max(axis=-1)
    if kind.greedy:
        token = jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)
        return TokenDraw(token, jnp.zeros(token.shape), _log_sum(logits_BV, best_B))
    weights = folded(jnp.exp((logits_BV - best_B[:, None]) / temperature))
    if kind.top_k:
        weights = largest(weights, top_k)
    if kind.nucleus:
        weights = nucleus(weights, top_p)
    lanes = weights.sum(1)
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys_B)
    # First a lane by its sum, then a token of that lane: two uniform numbers, and one pass over the vocabulary.
    lane = inverse(lanes, uniform[:, 0])
    column = jnp.take_along_axis(weights, lane[:, None, None], axis=2)[..., 0]
    place = inverse(column, uniform[:, 1])
    weight = jnp.take_along_axis(column, place[:, None], axis=1)[:, 0]
    return TokenDraw(place * LANES + lane, jnp.log(weight / lanes.sum(-1)), _log_sum(logits_BV, best_B))


def _log_sum(logits_BV: Array, best_B: Array) -> Array:
    return best_B + jnp.log(folded(jnp.exp(logits_BV - best_B[:, None])).sum(1).sum(-1))


def folded(weights_BV: Array) -> Array:
    """[B, V] -> [B, N, L], with zeros behind."""
    batch, vocab = weights_BV.shape
    return jnp.pad(weights_BV, ((0, 0), (0, -vocab % LANES))).reshape(batch, -1, LANES)


def largest(weights_BNL: Array, top_k: Number) -> Array:
    """With zeros outside the top_k largest."""
    edge = cutoff(weights_BNL, lambda mass, count: count >= top_k, jnp.zeros(len(weights_BNL)))
    return jnp.where(weights_BNL >= edge[:, None, None], weights_BNL, 0.0)


def nucleus(weights_BNL: Array, top_p: Number) -> Array:
    """With zeros outside the smallest set that holds top_p of the sum."""
    total = weights_BNL.sum(1).sum(-1)
    least = top_p * total
    # Tokens below this, all together, weigh at most half of what may be left out.
    lowest = 0.5 * jnp.maximum(total - least, 0) / weights_BNL[0].size
    edge = cutoff(weights_BNL, lambda mass, count: mass >= least, lowest)
    return jnp.where(weights_BNL >= edge[:, None, None], weights_BNL, 0.0)


class Search(NamedTuple):
    """For each row, int32 [B], the bits of a number that keeps enough and of one that does not.

    The sum and the number of the weights at least as large as each, float32 [B]; of the first, the number only.
    """

    low: Array
    high: Array
    count_low: Array
    count_high: Array
    mass_high: Array


def cutoff(weights_BNL: Array, enough: Callable[[Array, Array], Array], lowest_B: Array) -> Array:
    """float32 [B]: what keeps the fewest weights, those at least as large as it, that are enough.

    enough(mass, count): bool [B], of the sum and the number of those kept; it must hold at lowest_B. The search is over
    the bits of a float32, and of a row over when two tokens or fewer are between its bounds, or one number: a row's
    search is the same whatever is beside it. Rows of ties go on to the last bit.
    """

    def open_rows(at: Search) -> Array:
        return (at.high - at.low > 1) & (at.count_low - at.count_high > 2)

    def narrowed(at: Search) -> Search:
        low, high, count_low, count_high, mass_high = at
        step = (high - low + PARTS - 1) // PARTS
        middles = [jnp.minimum(low + part * step, high) for part in range(1, PARTS)]
        for middle, (mass, count) in zip(middles, held(weights_BNL, list(map(_float, middles))), strict=True):
            holds = enough(mass, count)
            low, count_low = jnp.where(holds, middle, low), jnp.where(holds, count, count_low)
            closer = ~holds & (middle < high)
            high, count_high = jnp.where(closer, middle, high), jnp.where(closer, count, count_high)
            mass_high = jnp.where(closer, mass, mass_high)
        going = open_rows(at)
        return jax.tree.map(partial(jnp.where, going), Search(low, high, count_low, count_high, mass_high), at)

    low, zeros = jax.lax.bitcast_convert_type(lowest_B, jnp.int32), jnp.zeros_like(lowest_B)
    start = Search(low, jnp.full_like(low, ABOVE_ONE), jnp.full_like(zeros, weights_BNL[0].size), zeros, zeros)
    with jax.named_scope("cutoff"):
        low, high, _, count, mass = jax.lax.while_loop(lambda at: open_rows(at).any(), narrowed, start)
        # The larger of two, if it is enough without the other.
        larger = jnp.where(weights_BNL < _float(high)[:, None, None], weights_BNL, 0.0).max((1, 2))
        return jnp.where(enough(mass + larger, count + 1), larger, _float(low))


def held(weights_BNL: Array, edges: Sequence[Array]) -> list[tuple[Array, Array]]:
    """For each edge [B] the (sum, number) of the weights at least as large, float32 [B] each, in one pass over them."""
    chain = CHAIN if platform() == "cpu" else LANES
    weights = weights_BNL.reshape(len(weights_BNL), -1, chain)
    above = [weights >= edge[:, None, None] for edge in edges]
    parts = [part for one in above for part in (jnp.where(one, weights, 0.0), one.astype(jnp.float32))]
    zeros = (np.float32(0),) * len(parts)
    sums = [part.sum(1) for part in jax.lax.reduce(tuple(parts), zeros, _add, (2,))]
    return list(zip(sums[::2], sums[1::2], strict=True))


def _add(ours: tuple, theirs: tuple) -> tuple:
    return tuple(one + other for one, other in zip(ours, theirs, strict=True))


def _float(bits: Array) -> Array:
    return jax.lax.bitcast_convert_type(bits, jnp.float32)


def inverse(weights_BN: Array, uniform_B: Array) -> Array:
    """int32 [B]: where the running sum of a row first exceeds a fraction in [0, 1) of it; never where the weight is 0.

    uniform_B: multiples of 2^-23, as JAX draws them, so that a product with a float32 stays below it.
    """
    sums = jnp.where(weights_BN > 0, jnp.cumsum(weights_BN, axis=-1), 0.0)
    target = uniform_B * sums.max(-1)
    return jnp.argmax(sums > target[:, None], axis=-1).astype(jnp.int32)
