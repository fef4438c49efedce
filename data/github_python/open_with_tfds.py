"""python data/github_python/open_with_tfds.py DIR/NAME: opens a corpus with TensorFlow Datasets.

codex_jax.corpus writes TFDS's metadata beside the shards, so nothing is converted. Reading records needs the extra
`interop`; opening the data set does not.
"""

import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow_datasets as tfds
import tyro

from codex_jax import cli
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.manifest import read_manifest
from codex_jax.records.shards import RecordDataset


@dataclass(frozen=True)
class Args:
    """Prints the data set's name, version, features and splits."""

    path: tyro.conf.Positional[str]  # DIR/NAME or DIR/NAME/VERSION


def open_builder(path: str) -> tfds.core.DatasetBuilder:
    """A read-only builder. InputError if there is no complete data set, or the path names a mixture."""
    data = open_dataset(path)
    if not isinstance(data, RecordDataset):
        raise InputError(f"{path} is a mixture: give one data set's DIR/NAME")
    return tfds.builder_from_directory(data.folder)


def read_tokens(builder: tfds.core.DatasetBuilder, split: str, **options: Any) -> Any:
    """A tf.data.Dataset of {"tokens": int32 [seq_len + 1], "loss_mask": uint8 [seq_len + 1], if stored}."""
    import tensorflow as tf

    dtype = np.dtype(read_manifest(builder.data_path)["dtype"]).newbyteorder("=")

    def decode(record: dict[str, Any]) -> dict[str, Any]:
        tokens = {"tokens": tf.cast(tf.io.decode_raw(record["tokens"], dtype), tf.int32)}
        masks = {name: tf.io.decode_raw(record[name], tf.uint8) for name in record if name != "tokens"}
        return {**tokens, **masks}

    return builder.as_dataset(split=split, **options).map(decode)


def main(args: Args) -> None:
    """Runs the command."""
    builder = open_builder(args.path)
    splits = ", ".join(f"{name} {split.num_examples}" for name, split in builder.info.splits.items())
    print(f"{builder.info.full_name}: {', '.join(builder.info.features)}; {splits}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
