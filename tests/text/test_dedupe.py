import numpy as np
import pytest

from codex_jax.text.dedupe import BANDS, ROWS, bands, content_hash, jaccard, shingles
from codex_jax.text.document import Document


def document(text, prompt=""):
    return Document("r/a.py", "r", "a.py", text, prompt)


def test_content_hash_ignores_whitespace():
    assert content_hash(document("x = 1\n\n\ny=2")) == content_hash(document("x=1 \n  y = 2\n"))
    assert content_hash(document("x = 1")) != content_hash(document("x = 2"))
    assert content_hash(document("b", "a")) != content_hash(document("ab"))
    assert content_hash(document("b", "a")) != content_hash(document("", "ab"))


def test_jaccard_equals_that_of_python_sets():
    rng = np.random.default_rng(0)
    for _ in range(50):
        one, other = (np.unique(rng.integers(0, 60, rng.integers(1, 50)).astype(np.uint64)) for _ in range(2))
        expected = len({*one.tolist()} & {*other.tolist()}) / len({*one.tolist()} | {*other.tolist()})
        assert jaccard(one, other) == expected
    empty = np.zeros(0, np.uint64)
    assert jaccard(empty, empty) == 1.0
    assert jaccard(empty, one) == jaccard(one, empty) == 0.0


def test_shingles_are_runs_of_five_words():
    assert len(shingles("a b c d e f")) == 2
    assert len(shingles("a b")) == 1
    assert len(shingles("  \n")) == 0
    assert len(shingles("a b c d e " * 9)) == 5
    assert (np.diff(shingles("x = y + z * 3 - q").astype(object)) > 0).all()


@pytest.mark.parametrize("size", [60, 400, 5000])
@pytest.mark.parametrize("similarity", [0.3, 0.6, 0.8, 0.95])
def test_bands_match_with_the_documented_probability(size, similarity):
    rng = np.random.default_rng(int(size * similarity))
    shared = round(2 * size * similarity / (1 + similarity))
    trials, equal_bands, candidates = 300, 0, 0
    for _ in range(trials):
        hashes = rng.integers(0, 2**64, 2 * size - shared, dtype=np.uint64)
        one, other = np.sort(hashes[:size]), np.sort(np.concatenate([hashes[:shared], hashes[size:]]))
        equal = bands(one) == bands(other)
        equal_bands += int(equal.sum())
        candidates += bool(equal.any())
    exact = shared / (2 * size - shared)
    # A band matches with probability s^ROWS. The bands of a small document share hashes, so the tolerance is wide.
    assert equal_bands / (trials * BANDS) == pytest.approx(exact**ROWS, abs=0.06)
    if similarity >= 0.8:
        assert candidates / trials > 0.97


def test_bands_of_empty_and_short_texts():
    assert bands(np.zeros(0, np.uint64)).shape == (BANDS,)
    assert (bands(shingles("a")) == bands(shingles("a\n"))).all()
    assert not (bands(shingles("a")) == bands(shingles("b"))).any()
