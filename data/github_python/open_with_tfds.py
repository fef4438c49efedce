"""python data/github_python/open_with_tfds.py DIR/NAME: what codex_jax.corpus wrote, as TensorFlow Datasets has it.

Nothing is built or copied: features.json and dataset_info.json are beside the shards. Reading records this way needs
the extra `interop`; opening them does not.
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
    """A builder that only reads; InputError where there is no whole data set."""
    data = open_dataset(path)
    if not isinstance(data, RecordDataset):
        raise InputError(f"{path} is a mixture: give one data set's DIR/NAME")
    return tfds.builder_from_directory(data.folder)


def read_tokens(builder: tfds.core.DatasetBuilder, split: str, **options: Any) -> Any:
    """tf.data.Dataset of {"tokens": int32 [seq_len + 1], "loss_mask": uint8, where stored}; options: as_dataset's."""
    import tensorflow as tf

    stored = np.dtype(read_manifest(builder.data_path)["dtype"]).newbyteorder("=")

    def decode(record: dict[str, Any]) -> dict[str, Any]:
        tokens = {"tokens": tf.cast(tf.io.decode_raw(record["tokens"], stored), tf.int32)}
        masks = {name: tf.io.decode_raw(record[name], tf.uint8) for name in record if name != "tokens"}
        return {**tokens, **masks}

    return builder.as_dataset(split=split, **options).map(decode)


def main(args: Args) -> None:
    """The command."""
    builder = open_builder(args.path)
    splits = ", ".join(f"{name} {split.num_examples}" for name, split in builder.info.splits.items())
    print(f"{builder.info.full_name}: {', '.join(builder.info.features)}; {splits}")


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
