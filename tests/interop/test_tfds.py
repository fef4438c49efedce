"""TensorFlow Datasets opens the folder of a data set by the metadata written beside the shards."""

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tests.interop.test_tensorflow import all_records


def check(dataset, data, split):
    """Asserts that the records and their order are the same."""
    rows = list(tfds.as_numpy(dataset))
    dtypes = {"tokens": data.manifest["dtype"], "loss_mask": "u1"}
    expected = all_records(data, split)
    assert len(rows) == data.manifest["splits"][split]["records"]
    assert all(row.keys() == expected.keys() for row in rows)
    for name, values in expected.items():
        assert np.array_equal([np.frombuffer(row[name], dtypes[name]) for row in rows], values)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_tfds_opens_a_folder(built, split):
    builder = tfds.builder_from_directory(built.folder)
    assert (builder.info.name, str(builder.info.version)) == (built.manifest["name"], built.manifest["version"])
    assert builder.info.splits[split].shard_lengths == built.manifest["splits"][split]["shards"]
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    check(builder.as_dataset(split=split, read_config=in_order), built, split)


def test_tfds_loads_a_data_set_by_name(built):
    in_order = tfds.ReadConfig(interleave_cycle_length=1)
    folder = built.folder.parent.parent
    check(tfds.load(built.manifest["name"], data_dir=folder, split="train", read_config=in_order), built, "train")
