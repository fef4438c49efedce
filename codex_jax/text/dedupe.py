"""Duplicate detection: exact copies (ignoring whitespace) by hash, near copies by MinHash.

Two documents are near copies if the Jaccard similarity of their sets of 5-word shingles is at least THRESHOLD. MinHash
bands propose the pairs to compare, and the similarity of each pair is then computed exactly. The sketch is
one-permutation MinHash with optimal densification (Shrivastava 2017), in 21 bands of 6 values. Two documents of
similarity s share a band with probability 1 - (1 - s^6)^21: 99.8% at 0.8, 93% at 0.7, 28% at 0.5.
"""

import hashlib

import numpy as np

from codex_jax.text.document import Document
from codex_jax.text.hashing import BASE, mix, ngram_hashes, word_hashes

SHINGLE_WORDS = 5
BINS, BANDS, ROWS = 128, 21, 6
BIN_SHIFT = np.uint64(57)  # the upper 7 bits of a hash select one of the 128 bins
THRESHOLD = 0.8
PROBES = 64


def content_hash(document: Document) -> bytes:
    """A 16-byte hash; documents that differ only in whitespace have the same one."""
    joined = "\0".join("".join(text.split()) for text in (document.prompt, document.text))
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def shingles(text: str) -> np.ndarray:
    """The hashes of a text's shingles: uint64 [N], ascending, unique. A text under 5 words is a single shingle."""
    return word_shingles(word_hashes(text))


def word_shingles(words: np.ndarray) -> np.ndarray:
    """The shingles of a text, given its word_hashes (uint64 [M])."""
    ordered = np.sort(ngram_hashes(words, min(SHINGLE_WORDS, max(len(words), 1))))
    return ordered[np.append(True, ordered[1:] != ordered[:-1])] if len(ordered) else ordered


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """The Jaccard similarity of two sets of shingles (uint64, ascending, unique); 1.0 if both are empty."""
    if not len(one) or not len(other):
        return float(len(one) == len(other))
    positions = np.searchsorted(one, other)
    shared = int(np.count_nonzero(one[np.minimum(positions, len(one) - 1)] == other))
    return shared / (len(one) + len(other) - shared)


def _probe_order() -> np.ndarray:
    # int64 [PROBES, BINS]: the bins that an empty bin tries to borrow from, in turn; the same for every document.
    codes = np.arange(1, PROBES * BINS + 1, dtype=np.uint64) * np.uint64(BASE)
    return (mix(codes) >> BIN_SHIFT).astype(np.int64).reshape(PROBES, BINS)


PROBE_ORDER = _probe_order()


def bands(shingle_hashes: np.ndarray) -> np.ndarray:
    """uint64 [BANDS], the sketch of ascending shingles. Documents with an equal band are candidates for comparison."""
    if not len(shingle_hashes):
        return np.zeros(BANDS, np.uint64)
    # The hashes are ascending, so the first one in each bin is that bin's minimum.
    first = np.searchsorted(shingle_hashes, np.arange(BINS, dtype=np.uint64) << BIN_SHIFT)
    filled = np.zeros(BINS, bool)
    filled[(shingle_hashes >> BIN_SHIFT).astype(np.int64)] = True
    values = shingle_hashes[np.minimum(first, len(shingle_hashes) - 1)]
    if not filled.all():
        usable = filled[PROBE_ORDER]
        lender = PROBE_ORDER[usable.argmax(axis=0), np.arange(BINS)]
        # If so few bins are filled that no probe hits one, the smallest shingle is used instead.
        borrowed = np.where(usable.any(axis=0), values[lender], shingle_hashes[0])
        values = np.where(filled, values, borrowed)
    rows = values[: BANDS * ROWS].reshape(BANDS, ROWS)
    sketch = np.arange(1, BANDS + 1, dtype=np.uint64)
    for row in range(ROWS):
        sketch = mix(sketch * np.uint64(BASE) + rows[:, row])
    return sketch
