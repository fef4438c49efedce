"""Drawing one token: temperature, then top-k, then the nucleus (Holtzman et al. 2020; paper section 3.3: top-p 0.95).

Nothing is sorted and no noise is drawn for each token of the vocabulary. Weights are exponentials of the logits, the
largest 1, kept as [B, N, L]: the vocabulary in N rows of L lanes, so that sums run along the lanes.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from codex_jax.decoding.settings import Kind
from codex_jax.parallel.mesh import current_mesh, platform_of

Array = jax.Array

LANES = 128
ABOVE_ONE = 0x3F800001  # the float32 after 1.0, as an integer: non-negative floats order as their bits do
PARTS = 3  # into which a pass of the search divides what is left
# Additions that wait for each other on a CPU: longer ones, or integers beside floats, take 4 to 9 times as long.
CHAIN = 8


Number = Array | np.ndarray | float


def draw(
    kind: Kind, keys_B: Array, logits_BV: Array, temperature: Number, top_p: Number = 1.0, top_k: Number = 0
) -> tuple[Array, Array]:
    """(int32 [B] tokens, each by its row's own key; float32 [B] their log probabilities among those kept).

    kind.greedy takes the most probable; temperature, top_p and top_k count where the kind has them. Ties at an edge
    are all kept.
    """
    if kind.greedy:
        token = jnp.argmax(logits_BV, axis=-1).astype(jnp.int32)
        return token, jnp.zeros(token.shape)
    best = logits_BV.max(axis=-1, keepdims=True)
    weights = folded(jnp.exp((logits_BV - best) / temperature))
    if kind.top_k:
        weights = largest(weights, top_k)
    if kind.nucleus:
        weights = nucleus(weights, top_p)
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (2,)))(keys_B)
    # First a lane by its sum, then a token of that lane: two uniform numbers, and one pass over the vocabulary.
    lanes = weights.sum(1)
    lane = inverse(lanes, uniform[:, 0])
    column = jnp.take_along_axis(weights, lane[:, None, None], axis=2)[..., 0]
    place = inverse(column, uniform[:, 1])
    weight = jnp.take_along_axis(column, place[:, None], axis=1)[:, 0]
    return place * LANES + lane, jnp.log(weight / lanes.sum(-1))


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
    # Summed as the search sums, so that the whole is enough whatever the rounding.
    ((total, _),) = held(weights_BNL, [jnp.zeros(len(weights_BNL))])
    least = top_p * total
    # Tokens below this, all together, weigh at most half of what may be left out.
    lowest = 0.5 * jnp.maximum(total - least, 0) / weights_BNL[0].size
    edge = cutoff(weights_BNL, lambda mass, count: mass >= least, lowest)
    return jnp.where(weights_BNL >= edge[:, None, None], weights_BNL, 0.0)


def cutoff(weights_BNL: Array, enough: Callable[[Array, Array], Array], lowest_B: Array) -> Array:
    """float32 [B]: what keeps the fewest weights, those at least as large as it, that are enough.

    enough(mass, count): bool [B], of the sum and the number of those kept; it must hold at lowest_B. The search is over
    the bits of a float32, and over when no row has two tokens between its bounds: then no number in between could part
    them. Rows of ties go on to the last bit.
    """

    def undecided(state: tuple) -> Array:
        low, high, count_low, count_high = state
        return ((high - low > 1) & (count_low - count_high > 1)).any()

    def narrowed(state: tuple) -> tuple:
        low, high, count_low, count_high = state
        step = (high - low + PARTS - 1) // PARTS
        middles = [jnp.minimum(low + part * step, high) for part in range(1, PARTS)]
        for middle, (mass, count) in zip(middles, held(weights_BNL, list(map(_float, middles))), strict=True):
            holds = enough(mass, count)
            low, count_low = jnp.where(holds, middle, low), jnp.where(holds, count, count_low)
            closer = ~holds & (middle < high)
            high, count_high = jnp.where(closer, middle, high), jnp.where(closer, count, count_high)
        return low, high, count_low, count_high

    low = jax.lax.bitcast_convert_type(lowest_B, jnp.int32)
    all_of_them = jnp.full_like(lowest_B, weights_BNL[0].size)
    state = low, jnp.full_like(low, ABOVE_ONE), all_of_them, jnp.zeros_like(lowest_B)
    with jax.named_scope("cutoff"):
        return _float(jax.lax.while_loop(undecided, narrowed, state)[0])


def held(weights_BNL: Array, edges: Sequence[Array]) -> list[tuple[Array, Array]]:
    """For each edge [B] the (sum, number) of the weights at least as large, float32 [B] each, in one pass over them."""
    chain = CHAIN if platform_of(current_mesh()) == "cpu" else LANES
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
