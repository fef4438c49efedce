"""The order of the training records: a pseudo-random permutation per epoch, computed instead of stored.

The permutation of range(n) is a Feistel network on the next power of four, applied again to results that are not below
n (cycle walking).
"""

import functools

import numpy as np

from codex_jax.errors import InputError
from codex_jax.text.hashing import mix

ROUNDS = 6
WINDOW = 8192  # positions computed and cached at once, because one takes as long as thousands


def permute(index: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """Permutes int64 [N] -> int64 [N] indices for a seed and epoch. ValueError if one is not in range(size)."""
    if len(index) and not (index.min() >= 0 and index.max() < size):
        raise ValueError(f"an index is not in range({size})")
    half_bits = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
    mask = np.uint64((1 << int(half_bits)) - 1)
    keys = np.random.SeedSequence([seed, epoch, size]).generate_state(ROUNDS, np.uint64)
    out = np.asarray(index, np.uint64).copy()
    todo = np.arange(len(out))
    while len(todo):
        left, right = out[todo] >> half_bits, out[todo] & mask
        for key in keys:
            left, right = right, left ^ (mix(right + key) & mask)
        out[todo] = left << half_bits | right
        todo = todo[out[todo] >= size]
    return out.astype(np.int64)


@functools.lru_cache(maxsize=64)
def _window(size: int, seed: int, epoch: int, number: int) -> np.ndarray:
    start = number * WINDOW
    order = permute(np.arange(start, min(start + WINDOW, size)), size, seed, epoch)
    order.flags.writeable = False  # the cache returns the same array to all callers
    return order


def record_indices(positions: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Maps int64 [N] positions in the endless stream of shuffled epochs to int64 [N] indices of `size` records."""
    epochs, within = np.divmod(positions, size)
    windows_per_epoch = -(-size // WINDOW)
    numbers = epochs * windows_per_epoch + within // WINDOW
    out = np.empty(len(positions), np.int64)
    for number in np.unique(numbers).tolist():
        rows = numbers == number
        out[rows] = _window(size, seed, *divmod(number, windows_per_epoch))[within[rows] % WINDOW]
    return out


def host_positions(step: int, batch_size: int, host: int, hosts: int) -> np.ndarray:
    """int64 [batch_size // hosts]: stream positions of this host's rows of a step. InputError if not divisible."""
    if batch_size < 1 or batch_size % hosts:
        raise InputError(f"a batch of {batch_size} does not divide over {hosts} hosts")
    rows = batch_size // hosts
    return np.arange(rows) + (step * batch_size + host * rows)
