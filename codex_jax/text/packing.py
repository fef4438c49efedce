"""Documents of tokens -> records of seq_len + 1, stride seq_len. End-of-text opens and closes every document.

So boundaries between documents can be read off the tokens, and every token after the first end-of-text is a target
once: a record starts with the last token of the one before.
"""

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

BLOCK_TOKENS = 1 << 20  # gathered before records are cut

Tokens = Sequence[int] | np.ndarray


def pack_stream(documents: Iterable[Tokens], seq_len: int, eot: int) -> Iterator[np.ndarray]:
    """int32 [N, seq_len + 1] blocks of records through which documents flow; the last is padded with end-of-text."""
    end = np.array([eot], np.int32)
    held, length = [end], 1
    for document in documents:
        held += [np.asarray(document, np.int32), end]
        length += len(document) + 1
        if length > max(BLOCK_TOKENS, seq_len):
            records, rest = _cut(np.concatenate(held), seq_len)
            yield records
            held, length = [rest], len(rest)
    records, rest = _cut(np.concatenate(held), seq_len)
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
    """(prompt, completion) pairs -> (int32 tokens, uint8 loss mask), [N, seq_len + 1] each; no pair is cut.

    The mask is 1 on the completion and the end-of-text that closes it. ValueError for a pair that is longer than
    a record (see fits).
    """
    rows = max(1, BLOCK_TOKENS // (seq_len + 1))

    def blank() -> tuple[np.ndarray, np.ndarray]:
        return np.full((rows, seq_len + 1), eot, np.int32), np.zeros((rows, seq_len + 1), np.uint8)

    (tokens, mask), row, at = blank(), 0, 1
    for prompt, completion in documents:
        if not fits(len(prompt), len(completion), seq_len):
            raise ValueError(f"{len(prompt) + len(completion)} tokens do not fit a record of {seq_len}")
        if at + len(prompt) + len(completion) > seq_len:
            row, at = row + 1, 1
            if row == rows:
                yield tokens, mask
                (tokens, mask), row = blank(), 0
        begin, end = at + len(prompt), at + len(prompt) + len(completion)
        tokens[row, at:begin] = prompt
        tokens[row, begin:end] = completion
        mask[row, begin : end + 1] = 1
        at = end + 1
    if at > 1:
        yield tokens[: row + 1], mask[: row + 1]


def fits(prompt: int, completion: int, seq_len: int) -> bool:
    """Whether so many tokens, opened and closed by end-of-text, fit seq_len + 1."""
    return prompt + completion + 2 <= seq_len + 1
