"""Documents of tokens -> records of seq_len + 1, stride seq_len. End-of-text opens and closes every document."""

from collections.abc import Iterable, Iterator

import numpy as np


def pack_stream(documents: Iterable[list[int]], seq_len: int, eot: int) -> Iterator[np.ndarray]:
    """int32 [seq_len + 1] records through which documents flow; each starts with the last token of the one before.

    Every token after the first end-of-text is a target once. The last record is padded with end-of-text.
    """
    held = [eot]
    for document in documents:
        held += document
        held.append(eot)
        while len(held) > seq_len:
            yield np.array(held[: seq_len + 1], np.int32)
            held = held[seq_len:]
    if len(held) > 1:
        yield np.array(held + [eot] * (seq_len + 1 - len(held)), np.int32)


def pack_whole(
    documents: Iterable[tuple[list[int], list[int]]], seq_len: int, eot: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(prompt, completion) pairs -> (int32 tokens, uint8 loss mask), [seq_len + 1] each; no pair is cut.

    The mask is 1 on the completion and the end-of-text that closes it. ValueError for a pair that is longer than
    a record (see fits).
    """

    def padded() -> tuple[np.ndarray, np.ndarray]:
        padding = seq_len + 1 - len(tokens)
        return np.array(tokens + [eot] * padding, np.int32), np.array(mask + [0] * padding, np.uint8)

    tokens, mask = [eot], [0]
    for prompt, completion in documents:
        if not fits(prompt, completion, seq_len):
            raise ValueError(f"{len(prompt) + len(completion)} tokens do not fit a record of {seq_len}")
        if len(tokens) + len(prompt) + len(completion) > seq_len:
            yield padded()
            tokens, mask = [eot], [0]
        tokens += [*prompt, *completion, eot]
        mask += [0] * len(prompt) + [1] * (len(completion) + 1)
    if len(tokens) > 1:
        yield padded()


def fits(prompt: list[int], completion: list[int], seq_len: int) -> bool:
    """Whether a pair, opened and closed by end-of-text, fits seq_len + 1 tokens."""
    return len(prompt) + len(completion) + 2 <= seq_len + 1
