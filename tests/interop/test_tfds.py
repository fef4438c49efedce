"""TensorFlow Datasets opens a data set's folder by what was written beside the shards."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.interop.test_tensorflow import ours


def check(dataset, data, split):
    """The same records, in the same order."""
    rows = list(tfds.as_numpy(dataset))
    dtypes = {"tokens": data.manifest["dtype"], "loss_mask": "u1"}
    expected = ours(data, split)
    assert len(rows) == data.manifest["splits"][split]["records"]
    assert all(row.keys() == expected.keys() for row in rows)
    for name, values in expected.items():
        assert np.array_equal([np.frombuffer(row[name], dtypes[name]) for row in rows], values)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_folder_is_opened(built, split):
    builder = tfds.builder_from_directory(built.folder)
    assert (builder.info.name, str(builder.info.version)) == (built.manifest["name"], built.manifest["version"])
    assert builder.info.splits[split].shard_lengths == built.manifest["splits"][split]["shards"]
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    check(builder.as_dataset(split=split, read_config=in_order), built, split)


def test_a_data_set_is_loaded_by_name(built):
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    folder = built.folder.parent.parent
    check(tfds.load(built.manifest["name"], data_dir=folder, split="train", read_config=in_order), built, "train")
