"""Finds copies among all documents; the copy with the smallest key is kept. Memory depends only on their number."""

from collections.abc import Callable

import numpy as np

FIRST = 8  # number of documents with an equal band value that later ones with this value are compared with

ReadBand = Callable[[int], np.ndarray]  # a band's number -> uint64 [N]


def first_copies(rows: np.ndarray) -> np.ndarray:
    """ROW [N] -> bool [N]: true for the row with the smallest key in each group of equal contents."""
    order = np.lexsort((rows["key_low"], rows["key_high"], rows["content_low"], rows["content_high"]))
    high, low = rows["content_high"][order], rows["content_low"][order]
    keep = np.ones(len(rows), bool)
    keep[order[1:][(high[1:] == high[:-1]) & (low[1:] == low[:-1])]] = False
    return keep


def candidates(values: np.ndarray, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """int64 [P, 2]: pairs (earlier, later) of rows with equal values. The earlier is among the FIRST of its group.

    values: uint64 [N], of one band; rows: ROW [N], compared by key; among: bool [N], the rows to consider.
    """
    index = np.flatnonzero(among)
    order = index[np.lexsort((rows["key_low"][index], rows["key_high"][index], values[index]))]
    shared = values[order]
    opens = np.append(True, shared[1:] != shared[:-1])[: len(order)]
    starts = np.flatnonzero(opens)[np.cumsum(opens) - 1]
    position = np.arange(len(order))
    pairs = [np.empty((0, 2), np.int64)]
    for number in range(FIRST):
        later = np.flatnonzero(position > starts + number)
        pairs.append(np.stack([order[starts[later] + number], order[later]], axis=1))
    return np.concatenate(pairs)


def comparisons(rows: np.ndarray, among: np.ndarray, bands: int, read_band: ReadBand) -> tuple[np.ndarray, np.ndarray]:
    """(earlier, later), int64 [P] each: the distinct candidates of all bands, grouped by later row."""
    codes = np.empty(0, np.uint64)  # later row in the upper 32 bits, earlier row in the lower
    for band in range(bands):
        pairs = candidates(read_band(band), rows, among).astype(np.uint64)
        codes = np.union1d(codes, pairs[:, 1] << np.uint64(32) | pairs[:, 0])
    later, earlier = (codes >> np.uint64(32)).astype(np.int64), (codes & np.uint64(0xFFFFFFFF)).astype(np.int64)
    starts = group_starts(later)
    lengths = np.diff(np.append(starts, len(later)))
    order = np.argsort(np.repeat(earlier[starts], lengths), kind="stable")  # groups with the same first candidate
    return earlier[order], later[order]


def group_starts(later: np.ndarray) -> np.ndarray:
    """int64 [G]: where each run of equal values begins."""
    return np.flatnonzero(np.append(True, later[1:] != later[:-1])[: len(later)])
