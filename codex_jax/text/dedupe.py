"""Copies: exact ones whatever their whitespace, and near ones by MinHash, whose Jaccard similarity is then verified.

A near copy shares at least THRESHOLD of its 5-word shingles (Jaccard) with an earlier document. Sketches propose
whom to compare: one-permutation MinHash with optimal densification (Shrivastava 2017), 21 bands of 6 values. Two
documents of similarity s meet in a band with probability 1 - (1 - s^6)^21: 99.8% at 0.8, 93% at 0.7, 28% at 0.5.
"""

import hashlib

import numpy as np

from codex_jax.text.document import Document
from codex_jax.text.hashing import BASE, mix, ngrams, words

SHINGLE = 5  # words
BINS, BANDS, ROWS = 128, 21, 6
THRESHOLD = 0.8
PROBES = 64


def content_hash(document: Document) -> bytes:
    """16 bytes: documents that differ in whitespace alone share it."""
    joined = "\0".join("".join(text.split()) for text in (document.prompt, document.text))
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def shingles(text: str) -> np.ndarray:
    """uint64 [N], ascending and unique: the hashes of all runs of 5 words; a shorter text is one shingle."""
    return word_shingles(words(text))


def word_shingles(hashes: np.ndarray) -> np.ndarray:
    """shingles() of a text's words."""
    found = np.sort(ngrams(hashes, min(SHINGLE, max(len(hashes), 1))))
    return found[np.append(True, found[1:] != found[:-1])] if len(found) else found


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Shared over all shingles; two texts without words are alike."""
    if not len(one) or not len(other):
        return float(len(one) == len(other))
    places = np.searchsorted(one, other)
    shared = int(np.count_nonzero(one[np.minimum(places, len(one) - 1)] == other))
    return shared / (len(one) + len(other) - shared)


def _probes() -> np.ndarray:
    # int64 [PROBES, BINS]: the bins that an empty bin borrows from, in turn; the same for every document.
    codes = np.arange(1, PROBES * BINS + 1, dtype=np.uint64) * np.uint64(BASE)
    return (mix(codes) >> np.uint64(57)).astype(np.int64).reshape(PROBES, BINS)


ORDER = _probes()


def bands(shingle_hashes: np.ndarray) -> np.ndarray:
    """uint64 [BANDS] of ascending shingles: documents that share a value in a place are candidates for a comparison."""
    if not len(shingle_hashes):
        return np.zeros(BANDS, np.uint64)
    # The upper seven bits choose the bin; in ascending order the first of each bin is its minimum.
    first = np.searchsorted(shingle_hashes, np.arange(BINS + 1, dtype=np.uint64)[:-1] << np.uint64(57))
    own = (shingle_hashes >> np.uint64(57)).astype(np.int64)
    filled = np.zeros(BINS, bool)
    filled[own] = True
    values = shingle_hashes[np.minimum(first, len(shingle_hashes) - 1)]
    if not filled.all():
        usable = filled[ORDER]
        lender = ORDER[usable.argmax(axis=0), np.arange(BINS)]
        # With so few bins filled that no probe meets one, the least of all shingles stands in.
        lent = np.where(usable.any(axis=0), values[lender], shingle_hashes[0])
        values = np.where(filled, values, lent)
    rows = values[: BANDS * ROWS].reshape(BANDS, ROWS)
    out = np.arange(1, BANDS + 1, dtype=np.uint64)
    for row in range(ROWS):
        out = mix(out * np.uint64(BASE) + rows[:, row])
    return out
