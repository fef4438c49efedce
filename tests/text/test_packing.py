import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.text import packing
from codex_jax.text.packing import pack_stream, pack_whole

DOCUMENTS = st.lists(st.lists(st.integers(1, 9), max_size=30), max_size=20)


@given(DOCUMENTS, st.integers(1, 12), st.integers(4, 50))
def test_every_token_of_the_stream_is_a_target_once(documents, seq_len, block):
    default, packing.BLOCK_TOKENS = packing.BLOCK_TOKENS, block
    try:
        blocks = list(pack_stream(documents, seq_len, 0))
    finally:
        packing.BLOCK_TOKENS = default
    records = [record for block in blocks for record in block]
    stream = [0, *(token for document in documents for token in [*document, 0])]
    targets = [token for record in records for token in record[1:].tolist()]
    assert targets[: len(stream) - 1] == stream[1:]
    assert not any(targets[len(stream) - 1 :])
    assert len(targets) - (len(stream) - 1) < seq_len
    assert [int(record[-1]) for record in records[:-1]] == [int(record[0]) for record in records[1:]]
    assert all(block.shape[1] == seq_len + 1 for block in blocks)


def pack_all(pairs, seq_len):
    blocks = list(pack_whole(pairs, seq_len, 0))
    return np.concatenate([tokens for tokens, _ in blocks]), np.concatenate([mask for _, mask in blocks])


def test_pairs_are_never_split_and_the_mask_covers_completions():
    pairs = [([5, 6], [7]), ([8], [9, 9]), ([1], [2, 3, 4, 5, 6, 7])]
    tokens, mask = pack_all(pairs, 9)
    assert tokens.tolist() == [[0, 5, 6, 7, 0, 8, 9, 9, 0, 0], [0, 1, 2, 3, 4, 5, 6, 7, 0, 0]]
    assert mask[0].tolist() == [0, 0, 0, 1, 1, 0, 1, 1, 1, 0]
    with pytest.raises(ValueError, match="do not fit"):
        list(pack_whole([([1] * 5, [2] * 4)], 9, 0))


TOKENS = st.lists(st.integers(1, 9), max_size=4)


@given(st.lists(st.tuples(TOKENS, TOKENS), min_size=1))
def test_every_completion_is_packed_once(pairs):
    default, packing.BLOCK_TOKENS = packing.BLOCK_TOKENS, 40
    try:
        tokens, mask = pack_all(pairs, 10)
    finally:
        packing.BLOCK_TOKENS = default
    assert tokens[mask == 1].tolist() == [token for _, completion in pairs for token in [*completion, 0]]
