"""A pseudo-random permutation of range(n) that is computed, not stored: a Feistel network with cycle walking."""

import numpy as np

ROUNDS = 6


def _mix(values: np.ndarray, key: np.ndarray) -> np.ndarray:
    # splitmix64's finalizer.
    values = values + key
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


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
            left, right = right, left ^ (_mix(right, key) & mask)
        out[todo] = left << half | right
        # The network permutes a power of four; walk on until back inside.
        todo = todo[out[todo] >= size]
    return out.astype(np.int64)


def places(start: int, count: int, size: int, seed: int) -> np.ndarray:
    """int64 [count]: records start .. start + count of the endless stream of shuffled epochs of `size` records."""
    stream = np.arange(start, start + count)
    out = np.empty(count, np.int64)
    for epoch in np.unique(stream // size):
        rows = stream // size == epoch
        out[rows] = permute(stream[rows] % size, size, seed, int(epoch))
    return out
