import hashlib
import io

import numpy as np
import pytest

from codex_jax.records.example import encode
from codex_jax.records.tfrecord import frame
from codex_jax.records.writer import record_bytes, shard_name, token_dtype, write_blocks


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
@pytest.mark.parametrize("masked", [False, True])
def test_a_shard_contains_each_record_as_a_framed_example(dtype, masked):
    tokens = np.random.default_rng(0).integers(0, 60_000, (5, 9))
    mask = (tokens % 2).astype(np.uint8)
    blocks = [{"tokens": tokens[part], **({"loss_mask": mask[part]} if masked else {})} for part in ([0, 1], [2, 3, 4])]
    file = io.BytesIO()
    count, sha256 = write_blocks(file, blocks, np.dtype(dtype))
    expected = [
        frame(encode({"tokens": row.astype(dtype).tobytes(), **({"loss_mask": ones.tobytes()} if masked else {})}))
        for row, ones in zip(tokens, mask, strict=True)
    ]
    written = file.getvalue()
    assert written == b"".join(expected)
    assert (count, sha256) == (5, hashlib.sha256(written).hexdigest())
    assert record_bytes(8, np.dtype(dtype), masked) == len(expected[0])


def test_a_shard_without_records_is_an_empty_file():
    file = io.BytesIO()
    assert write_blocks(file, [], np.dtype("<u2")) == (0, hashlib.sha256(b"").hexdigest())
    assert file.getvalue() == b""


def test_token_dtypes():
    # 65,536 tokens would fit 16 bits too, but the limit is part of the format.
    assert [token_dtype(size).str for size in (1, 65_535, 65_536)] == ["<u2", "<u2", "<u4"]


def test_shard_names_are_those_of_tensorflow_datasets():
    assert shard_name("d", "train", 7, 12) == "d-train.tfrecord-00007-of-00012"
