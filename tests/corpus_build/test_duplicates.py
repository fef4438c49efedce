import numpy as np
import pytest

from codex_jax.corpus_build.duplicates import FIRST, candidates, first_copies, near_copies
from codex_jax.corpus_build.intermediates import ROW


def rows_of(keys, contents):
    rows = np.zeros(len(keys), ROW)
    rows["key_high"], rows["content_low"] = keys, contents
    return rows


def test_of_equal_contents_the_first_by_key_stays():
    rows = rows_of([5, 3, 9, 1, 2, 8], [7, 7, 7, 4, 5, 4])
    assert first_copies(rows).tolist() == [False, True, False, True, True, False]
    assert first_copies(rows[:0]).tolist() == []


def test_candidates_are_the_first_of_a_group_with_all_later():
    rng = np.random.default_rng(0)
    keys = rng.permutation(200)
    rows = rows_of(keys, np.zeros(200))
    values = rng.integers(0, 9, 200).astype(np.uint64)
    among = rng.random(200) < 0.8
    expected = set()
    for value in range(9):
        group = sorted(np.flatnonzero((values == value) & among), key=lambda row: keys[row])
        expected |= {(group[a], group[b]) for b in range(len(group)) for a in range(min(b, FIRST))}
    pairs = candidates(values, rows, among)
    assert {tuple(pair) for pair in pairs.tolist()} == expected
    assert len(pairs) == len(expected)


@pytest.mark.parametrize("seed", range(4))
def test_near_copies_are_the_rows_alike_an_earlier_candidate(seed):
    rng = np.random.default_rng(seed)
    count = 60
    rows = rows_of(rng.permutation(count), np.zeros(count))
    among = rng.random(count) < 0.9
    bands = rng.integers(0, 12, (5, count)).astype(np.uint64)
    alike = rng.random((count, count)) < 0.2
    asked = []

    def verify(pairs):
        asked.extend(map(tuple, pairs.tolist()))
        return alike[pairs[:, 0], pairs[:, 1]]

    found = near_copies(rows, among, 5, lambda band: bands[band], verify)
    expected = np.zeros(count, bool)
    for band in bands:
        for first, later in candidates(band, rows, among):
            expected[later] |= alike[first, later]
    assert found.tolist() == expected.tolist()
    assert len(asked) == len(set(asked))
