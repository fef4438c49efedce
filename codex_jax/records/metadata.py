"""Writes features.json and dataset_info.json, with which TensorFlow Datasets and tf.data open the same shards."""

from pathlib import Path

import numpy as np

from codex_jax.records.manifest import Manifest

TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


def write_metadata(folder: Path, manifest: Manifest, masked: bool) -> None:
    """Writes both files beside the shards, without TensorFlow. masked: whether the records have a loss_mask."""
    # Imported here because it takes seconds.
    import tensorflow_datasets as tfds

    raw_bytes = tfds.features.Tensor(shape=(), dtype=np.object_)
    names = ("tokens", "loss_mask") if masked else ("tokens",)
    splits = [
        tfds.core.SplitInfo(
            name=name,
            shard_lengths=split["shards"],
            num_bytes=split["records"] * manifest["record_bytes"],
            filename_template=tfds.core.ShardedFileTemplate(
                dataset_name=manifest["name"],
                data_dir=folder,
                split=name,
                filetype_suffix="tfrecord",
                template=TEMPLATE,
            ),
        )
        for name, split in manifest["splits"].items()
    ]
    tfds.folder_dataset.write_metadata(
        data_dir=folder,
        features=tfds.features.FeaturesDict(dict.fromkeys(names, raw_bytes)),
        split_infos=splits,
        version=manifest["version"],
        filename_template=TEMPLATE,
        check_data=False,
        description=f"{manifest['seq_len'] + 1} tokens per record as {manifest['dtype']}; see manifest.json",
    )
