"""A pseudo-random permutation of range(n) that is computed, not stored: a Feistel network with cycle walking."""

import functools

import numpy as np

from codex_jax.errors import InputError
from codex_jax.text.hashing import mix

ROUNDS = 6
WINDOW = 8192  # places computed at once and kept: batches follow each other, and one alone takes as long as thousands


def permute(index: np.ndarray, size: int, seed: int, epoch: int) -> np.ndarray:
    """int64 [N] of the places of `index` in the order of this seed and epoch; ValueError unless in range(size)."""
    if len(index) and not (index.min() >= 0 and index.max() < size):
        raise ValueError(f"a place outside range({size}) has no place in its permutation")
    half = np.uint64(max(1, -(-(size - 1).bit_length() // 2)))
    mask = np.uint64((1 << int(half)) - 1)
    keys = np.random.SeedSequence([seed, epoch, size]).generate_state(ROUNDS, np.uint64)
    out = np.asarray(index, np.uint64).copy()
    todo = np.arange(len(out))
    while len(todo):
        left, right = out[todo] >> half, out[todo] & mask
        for key in keys:
            left, right = right, left ^ (mix(right + key) & mask)
        out[todo] = left << half | right
        # The network permutes a power of four; walk on until back inside.
        todo = todo[out[todo] >= size]
    return out.astype(np.int64)


@functools.lru_cache(maxsize=64)
def _window(size: int, seed: int, epoch: int, window: int) -> np.ndarray:
    start = window * WINDOW
    order = permute(np.arange(start, min(start + WINDOW, size)), size, seed, epoch)
    order.flags.writeable = False  # it is shared
    return order


def places(stream: np.ndarray, size: int, seed: int) -> np.ndarray:
    """int64 [N]: the records at these places of the endless stream of shuffled epochs of `size` records."""
    epochs, within = np.divmod(stream, size)
    windows = -(-size // WINDOW)
    numbers = epochs * windows + within // WINDOW
    out = np.empty(len(stream), np.int64)
    for number in np.unique(numbers).tolist():
        rows = numbers == number
        out[rows] = _window(size, seed, *divmod(number, windows))[within[rows] % WINDOW]
    return out


def host_rows(step: int, batch_size: int, host: int, hosts: int) -> np.ndarray:
    """int64 [batch_size // hosts]: this host's places in the stream of all batches; InputError on a remainder."""
    if batch_size < 1 or batch_size % hosts:
        raise InputError(f"a batch of {batch_size} does not divide over {hosts} hosts")
    rows = batch_size // hosts
    return np.arange(rows) + (step * batch_size + host * rows)
