"""Packs tokenized documents into records of seq_len + 1 tokens.

End-of-text comes before the first document and after every document, so document boundaries can be found in the tokens.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

BLOCK_TOKENS = 1 << 20  # tokens collected before records are cut from them

Tokens = Sequence[int] | np.ndarray


def pack_stream(documents: Iterable[Tokens], seq_len: int, eot: int) -> Iterator[np.ndarray]:
    """Cuts the stream of all documents into records; yields them in blocks, int32 [N, seq_len + 1].

    Consecutive records overlap by one token, so each token after the first is a prediction target exactly once. The
    last record is padded with end-of-text.
    """
    end = np.array([eot], np.int32)
    pending, length = [end], 1
    for document in documents:
        pending += [np.asarray(document, np.int32), end]
        length += len(document) + 1
        if length > max(BLOCK_TOKENS, seq_len):
            records, rest = _cut(np.concatenate(pending), seq_len)
            yield records
            pending, length = [rest], len(rest)
    records, rest = _cut(np.concatenate(pending), seq_len)
    if len(rest) > 1:
        last = np.pad(rest, (0, seq_len + 1 - len(rest)), constant_values=eot)
        records = np.concatenate([records, last[None]])
    if len(records):
        yield records


def _cut(tokens: np.ndarray, seq_len: int) -> tuple[np.ndarray, np.ndarray]:
    count = (len(tokens) - 1) // seq_len
    if not count:
        return np.empty((0, seq_len + 1), np.int32), tokens
    windows = np.lib.stride_tricks.sliding_window_view(tokens, seq_len + 1)
    return windows[::seq_len][:count], tokens[count * seq_len :]


def pack_whole(
    documents: Iterable[tuple[Tokens, Tokens]], seq_len: int, eot: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Packs (prompt, completion) pairs without splitting any; yields blocks of (tokens, loss mask).

    tokens: int32 [N, seq_len + 1]; loss mask: uint8 [N, seq_len + 1], 1 on each completion and the end-of-text that
    closes it. ValueError for a pair that does not fit into a record (see fits).
    """
    rows = max(1, BLOCK_TOKENS // (seq_len + 1))

    def blank() -> tuple[np.ndarray, np.ndarray]:
        return np.full((rows, seq_len + 1), eot, np.int32), np.zeros((rows, seq_len + 1), np.uint8)

    (tokens, mask), row, start = blank(), 0, 1
    for prompt, completion in documents:
        length = len(prompt) + len(completion)
        if not fits(len(prompt), len(completion), seq_len):
            raise ValueError(f"{length} tokens do not fit a record of {seq_len}")
        if start + length > seq_len:
            row, start = row + 1, 1
            if row == rows:
                yield tokens, mask
                (tokens, mask), row = blank(), 0
        middle, end = start + len(prompt), start + length
        tokens[row, start:middle] = prompt
        tokens[row, middle:end] = completion
        mask[row, middle : end + 1] = 1
        start = end + 1
    if start > 1:
        yield tokens[: row + 1], mask[: row + 1]


def fits(prompt: int, completion: int, seq_len: int) -> bool:
    """Whether a prompt and completion of these token counts, enclosed in end-of-text, fit into seq_len + 1 tokens."""
    return prompt + completion + 2 <= seq_len + 1
