import pytest

from codex_jax.text.packing import pack_stream, pack_whole


def test_stream_predicts_every_target_once():
    documents = [[5, 6, 7], [8], [9] * 11]
    records = list(pack_stream(documents, 4, 0))
    flat = [0, 5, 6, 7, 0, 8, 0, *[9] * 11, 0]
    targets = [token for record in records for token in record[1:].tolist()]
    assert targets[: len(flat) - 1] == flat[1:]
    assert not any(targets[len(flat) - 1 :])
    assert [int(a[-1]) for a in records[:-1]] == [int(b[0]) for b in records[1:]]


def test_whole_pairs_are_never_cut_and_only_completions_count():
    pairs = [([5, 6], [7]), ([8], [9, 9]), ([1], [2, 3, 4, 5, 6, 7])]
    records = list(pack_whole(pairs, 9, 0))
    assert records[0][0].tolist() == [0, 5, 6, 7, 0, 8, 9, 9, 0, 0]
    assert records[0][1].tolist() == [0, 0, 0, 1, 1, 0, 1, 1, 1, 0]
    assert records[1][0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 0, 0]
    with pytest.raises(ValueError, match="do not fit"):
        list(pack_whole([([1] * 5, [2] * 4)], 9, 0))
