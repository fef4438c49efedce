"""Hashes of a text's words and n-grams. Duplicates and overlaps with benchmarks are found by comparing them.

A word is a run of letters, digits, underscores and non-ASCII bytes. Every other visible character is a word of its own.
Whitespace and control characters separate words.
"""

import numpy as np

SPACE, WORD, SYMBOL = 0, 1, 2
BYTE_CLASS = np.full(256, SYMBOL, np.uint8)
BYTE_CLASS[:33] = BYTE_CLASS[127] = SPACE
BYTE_CLASS[128:] = WORD
for _byte in b"_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ":
    BYTE_CLASS[_byte] = WORD

BASE = 0x9E3779B97F4A7C15 | 1  # odd, so that its powers have inverses modulo 2^64
INVERSE = pow(BASE, -1, 1 << 64)
CHUNK = 1 << 16  # bytes hashed at a time, so that the arrays fit into the CPU cache


def mix(values: np.ndarray) -> np.ndarray:
    """uint64 -> uint64: splitmix64's finalizer, a bijection that spreads every input bit over all output bits."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _powers(base: int) -> np.ndarray:
    powers = np.full(CHUNK + 1, base, np.uint64)
    powers[0] = 1
    return np.multiply.accumulate(powers)


POWERS, INVERSE_POWERS = _powers(BASE), _powers(INVERSE)


def word_hashes(text: str) -> np.ndarray:
    """uint64 [N]: the hash of each word, in order."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    chunks = []
    start = 0
    while start < len(data):
        stop = min(start + CHUNK, len(data))
        if stop < len(data):
            # End the chunk between two words. A word longer than a chunk is cut.
            breaks = np.flatnonzero(BYTE_CLASS[data[start:stop]] != WORD)
            stop = start + int(breaks[-1]) + 1 if len(breaks) else stop
        chunks.append(_chunk_hashes(data[start:stop]))
        start = stop
    return np.concatenate(chunks) if chunks else np.zeros(0, np.uint64)


def _chunk_hashes(data: np.ndarray) -> np.ndarray:
    classes = BYTE_CLASS[data]
    in_word, symbol = classes == WORD, classes == SYMBOL
    first, last = in_word.copy(), in_word.copy()
    first[1:] &= ~in_word[:-1]
    last[:-1] &= ~in_word[1:]
    starts, ends = np.flatnonzero(first | symbol), np.flatnonzero(last | symbol) + 1
    # The hash is the polynomial sum((byte + 1) * BASE**i): a difference of prefix sums, divided by BASE**start.
    sums = np.zeros(len(data) + 1, np.uint64)
    np.cumsum((data.astype(np.uint64) + np.uint64(1)) * POWERS[: len(data)], out=sums[1:])
    return mix((sums[ends] - sums[starts]) * INVERSE_POWERS[starts])


def ngram_hashes(words: np.ndarray, n: int) -> np.ndarray:
    """The hash of every n consecutive words: uint64 [max(N - n + 1, 0)] for the word_hashes uint64 [N]."""
    count = max(len(words) - n + 1, 0)
    hashes = np.zeros(count, np.uint64)
    for offset in range(n):
        hashes = hashes * np.uint64(BASE) + words[offset : offset + count]
    return mix(hashes)
