import numpy as np
import pytest

from codex_jax.corpus_build.duplicates import FIRST, candidates, comparisons, first_copies, group_starts
from codex_jax.corpus_build.intermediates import ROW


def rows_of(keys, contents):
    rows = np.zeros(len(keys), ROW)
    rows["key_high"], rows["content_low"] = keys, contents
    return rows


def test_the_smallest_key_of_equal_contents_is_kept():
    rows = rows_of([5, 3, 9, 1, 2, 8], [7, 7, 7, 4, 5, 4])
    assert first_copies(rows).tolist() == [False, True, False, True, True, False]
    assert first_copies(rows[:0]).tolist() == []


def test_candidates_pair_the_first_of_a_group_with_all_later_ones():
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
def test_comparisons_are_the_distinct_candidates_of_all_bands(seed):
    rng = np.random.default_rng(seed)
    count = 60
    rows = rows_of(rng.permutation(count), np.zeros(count))
    among = rng.random(count) < 0.9
    bands = rng.integers(0, 12, (5, count)).astype(np.uint64)
    expected = set()
    for band in bands:
        expected |= set(map(tuple, candidates(band, rows, among).tolist()))
    earlier, later = comparisons(rows, among, 5, lambda band: bands[band])
    pairs = list(zip(earlier.tolist(), later.tolist(), strict=True))
    assert set(pairs) == expected
    assert len(pairs) == len(expected)


def test_comparisons_of_a_later_row_are_adjacent_and_grouped_by_the_first_candidate():
    rng = np.random.default_rng(0)
    bands = rng.integers(0, 12, (5, 60)).astype(np.uint64)
    earlier, later = comparisons(rows_of(np.arange(60), np.zeros(60)), np.ones(60, bool), 5, lambda band: bands[band])
    starts = group_starts(later)
    assert len(set(later[starts].tolist())) == len(starts) == len(set(later.tolist()))
    assert np.all(np.diff(earlier[starts]) >= 0)


def test_without_candidates_there_is_nothing_to_compare():
    rows = rows_of(np.arange(5), np.zeros(5))
    earlier, later = comparisons(rows, np.ones(5, bool), 3, lambda band: np.arange(5, dtype=np.uint64))
    assert len(earlier) == len(later) == len(group_starts(later)) == 0
