"""A source text as words and their n-grams, each a 64-bit hash; by these, copies and overlaps are found."""

import numpy as np

SPACE, WORD, MARK = 0, 1, 2
# A word is a run of letters, digits, _ and bytes beyond ASCII; every other visible character is one by itself.
KINDS = np.full(256, MARK, np.uint8)
KINDS[:33] = KINDS[127] = SPACE
KINDS[128:] = WORD
for _char in b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
    KINDS[_char] = WORD

BASE = 0x9E3779B97F4A7C15 | 1  # odd, so that its powers have inverses modulo 2^64
INVERSE = pow(BASE, -1, 1 << 64)
CHUNK = 1 << 16  # bytes hashed at once: the arrays then stay in the processor's cache


def mix(values: np.ndarray) -> np.ndarray:
    """uint64 -> uint64, a bijection in which every bit depends on every bit (splitmix64's finalizer)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _powers(base: int) -> np.ndarray:
    out = np.full(CHUNK + 1, base, np.uint64)
    out[0] = 1
    return np.multiply.accumulate(out)


POWERS, INVERSES = _powers(BASE), _powers(INVERSE)


def words(text: str) -> np.ndarray:
    """uint64 [N]: a hash for every word, in order; equal words have equal hashes, whitespace has none."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    parts = []
    start = 0
    while start < len(data):
        stop = min(start + CHUNK, len(data))
        if stop < len(data):
            # End the chunk between two words; a word as long as a chunk is cut.
            breaks = np.flatnonzero(KINDS[data[start:stop]] != WORD)
            stop = start + int(breaks[-1]) + 1 if len(breaks) else stop
        parts.append(_hashed(data[start:stop]))
        start = stop
    return np.concatenate(parts) if parts else np.zeros(0, np.uint64)


def _hashed(data: np.ndarray) -> np.ndarray:
    kinds = KINDS[data]
    word = kinds == WORD
    opens, closes = word.copy(), word.copy()
    opens[1:] &= ~word[:-1]
    closes[:-1] &= ~word[1:]
    mark = kinds == MARK
    begins, ends = np.flatnonzero(opens | mark), np.flatnonzero(closes | mark) + 1
    # A word's hash is the polynomial of its bytes: a difference of prefix sums, moved to the origin.
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * POWERS[: len(data)], out=sums[1:])
    return mix((sums[ends] - sums[begins]) * INVERSES[begins])


def ngrams(hashes: np.ndarray, n: int) -> np.ndarray:
    """uint64 [max(N - n + 1, 0)]: a hash for every n neighbouring words."""
    count = max(len(hashes) - n + 1, 0)
    out = np.zeros(count, np.uint64)
    for place in range(n):
        out = out * np.uint64(BASE) + hashes[place : place + count]
    return mix(out)
