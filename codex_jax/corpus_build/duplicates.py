"""Who is a copy of whom, over the index of all documents: the earlier by key stays.

Sorted arrays do it, so that memory goes by the number of files, not by their bytes.
"""

from collections.abc import Callable

import numpy as np

FIRST = 8  # of the documents that share a band's value, how many the others are compared with

Verify = Callable[[np.ndarray], np.ndarray]  # int64 [P, 2] pairs of rows -> bool [P]: whether they are near copies
ReadBand = Callable[[int], np.ndarray]  # a band's number -> uint64 [N]


def first_copies(rows: np.ndarray) -> np.ndarray:
    """ROW [N] -> bool [N]: the first by key of every group of equal contents."""
    order = np.lexsort((rows["key_low"], rows["key_high"], rows["content_low"], rows["content_high"]))
    high, low = rows["content_high"][order], rows["content_low"][order]
    keep = np.ones(len(rows), bool)
    keep[order[1:][(high[1:] == high[:-1]) & (low[1:] == low[:-1])]] = False
    return keep


def candidates(values: np.ndarray, rows: np.ndarray, among: np.ndarray) -> np.ndarray:
    """int64 [P, 2]: (earlier, later) rows that share a band's value: each with the FIRST first of its group.

    values: uint64 [N]; among: bool [N], the rows that count.
    """
    index = np.flatnonzero(among)
    order = index[np.lexsort((rows["key_low"][index], rows["key_high"][index], values[index]))]
    shared = values[order]
    opens = np.append(True, shared[1:] != shared[:-1])[: len(order)]
    starts = np.flatnonzero(opens)[np.cumsum(opens) - 1]
    place = np.arange(len(order))
    pairs = [np.empty((0, 2), np.int64)]
    for number in range(FIRST):
        later = np.flatnonzero(place > starts + number)
        pairs.append(np.stack([order[starts[later] + number], order[later]], axis=1))
    return np.concatenate(pairs)


def near_copies(rows: np.ndarray, among: np.ndarray, bands: int, read_band: ReadBand, verify: Verify) -> np.ndarray:
    """bool [N]: the rows that are near copies of an earlier one that a band proposes; a pair is verified once."""
    copy = np.zeros(len(rows), bool)
    refused = np.empty(0, np.uint64)
    for band in range(bands):
        pairs = candidates(read_band(band), rows, among)
        pairs = pairs[~copy[pairs[:, 1]]]
        codes = pairs[:, 0].astype(np.uint64) << np.uint64(32) | pairs[:, 1].astype(np.uint64)
        pairs = pairs[~np.isin(codes, refused)]
        if len(pairs):
            alike = verify(pairs)
            copy[pairs[alike, 1]] = True
            lost = pairs[~alike].astype(np.uint64)
            refused = np.union1d(refused, lost[:, 0] << np.uint64(32) | lost[:, 1])
    return copy
