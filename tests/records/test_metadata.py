import numpy as np
import pytest
import tensorflow_datasets as tfds

from codex_jax.records.metadata import write_metadata
from codex_jax.records.writer import shard_name
from tests.records.build import build


@pytest.mark.parametrize("masked", [True, False])
def test_tfds_finds_the_shards_and_features(tmp_path, masked):
    folder = build(tmp_path / "d" / "1.2.0", counts=(13, 0, 10), masked=masked)
    splits = {"train": {"records": 23, "shards": [13, 0, 10]}, "empty": {"records": 0, "shards": [0]}}
    manifest = {"name": "d", "version": "1.2.0", "seq_len": 8, "dtype": "<u2", "record_bytes": 50, "splits": splits}
    write_metadata(folder, manifest, masked)
    info = tfds.builder_from_directory(folder).info
    assert (info.name, str(info.version)) == ("d", "1.2.0")
    assert info.description.startswith("9 tokens per record as <u2")
    assert set(info.features) == ({"tokens", "loss_mask"} if masked else {"tokens"})
    assert all((feature.shape, feature.np_dtype) == ((), np.object_) for feature in info.features.values())
    train = info.splits["train"]
    assert (train.num_examples, train.shard_lengths, train.num_bytes) == (23, [13, 0, 10], 23 * 50)
    assert train.filenames == [shard_name("d", "train", shard, 3) for shard in range(3)]
