"""TensorFlow reads the same shards, examples and events, and refuses the same corrupt files."""

import numpy as np
import pytest
import tensorflow as tf

from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.example import encode
from codex_jax.records.tfrecord import frame
from codex_jax.records.writer import shard_name
from codex_jax.runs.metrics import open_metrics

EXAMPLES = [
    {"tokens": b"\1\2\3"},
    {"tokens": b"", "loss_mask": bytes(130)},
    {"tokens": bytes(range(256)) * 90, "loss_mask": b"\1", "\u00e4": b"\xff"},
]
PARTS = {"length": 3, "CRC of the length": 9, "payload": 12 + 30, "CRC of the payload": -2}


def all_records(data, split):
    """All records of a split, in order."""
    size = data.manifest["splits"][split]["records"]
    batches = list(data.sequential(split, 16))
    return {name: np.concatenate([batch[name] for batch in batches])[:size] for name in batches[0]}


def shards(data, split):
    """The paths of a split's shards."""
    counts = data.manifest["splits"][split]["shards"]
    return [data.folder / shard_name(data.manifest["name"], split, n, len(counts)) for n in range(len(counts))]


def largest_shard(data, split):
    """The path of the shard with the most records."""
    return max(shards(data, split), key=lambda path: path.stat().st_size)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_tf_data_reads_the_same_records(built, split):
    expected = all_records(built, split)
    features = {name: tf.io.FixedLenFeature([], tf.string) for name in expected}
    records = tf.data.TFRecordDataset([str(path) for path in shards(built, split)])
    rows = [tf.io.parse_single_example(record, features) for record in records]
    assert len(rows) == len(expected["tokens"])
    dtypes = {"tokens": built.manifest["dtype"], "loss_mask": "u1"}
    for name, values in expected.items():
        assert [row[name].numpy() for row in rows] == [v.astype(dtypes[name]).tobytes() for v in values]
    tokens = tf.io.decode_raw([row["tokens"] for row in rows], np.dtype(built.manifest["dtype"]).newbyteorder("="))
    assert np.array_equal(tokens, expected["tokens"])


@pytest.mark.parametrize("part", PARTS)
def test_a_flipped_bit_is_refused_by_both(built, part, tmp_path):
    path = largest_shard(built, "train")
    whole = bytearray(path.read_bytes())
    size = built.manifest["record_bytes"]
    assert len(whole) > size
    whole[size + PARTS[part] % size] ^= 4
    copy = tmp_path / built.folder.name
    copy.mkdir()
    for file in built.folder.iterdir():
        if file.is_file():
            (copy / file.name).write_bytes(whole if file == path else file.read_bytes())
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(copy / path.name)))
    with pytest.raises(InputError, match="corrupt"):
        all_records(open_dataset(copy), "train")


def test_a_truncated_shard_is_refused(built, tmp_path):
    (tmp_path / "cut").write_bytes(largest_shard(built, "train").read_bytes()[:-1])
    with pytest.raises(tf.errors.DataLossError):
        list(tf.data.TFRecordDataset(str(tmp_path / "cut")))


@pytest.mark.parametrize("features", EXAMPLES)
def test_examples_equal_tensorflows(features, tmp_path):
    parsed = tf.train.Example.FromString(encode(features))
    assert {name: list(value.bytes_list.value) for name, value in parsed.features.feature.items()} == {
        name: [value] for name, value in features.items()
    }
    entries = {name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value])) for name, value in features.items()}
    expected = tf.train.Example(features=tf.train.Features(feature=entries))
    assert expected.SerializeToString(deterministic=True) == encode(features)
    path = str(tmp_path / "records")
    with tf.io.TFRecordWriter(path) as writer:
        writer.write(expected.SerializeToString(deterministic=True))
    assert (tmp_path / "records").read_bytes() == frame(encode(features))


def events(folder):
    """All events of a run, as TensorFlow reads them, in the order written."""
    paths = sorted((folder / "events").iterdir())
    return [event for path in paths for event in tf.compat.v1.train.summary_iterator(str(path))]


def test_tensorboard_events_contain_the_logged_values(tmp_path):
    logged = {step: {"loss": 5 / step, "learning_rate": 1e-4 * step, "tokens": 4096.0 * step} for step in (1, 2, 30)}
    with open_metrics(tmp_path, 0) as write:
        for step, values in logged.items():
            write(step, **values)
    values_by_step = {}
    for event in events(tmp_path):
        for value in event.summary.value:
            values_by_step.setdefault(event.step, {})[value.tag] = value.simple_value
    assert values_by_step == {
        step: {name: float(np.float32(value)) for name, value in values.items()} for step, values in logged.items()
    }


def test_a_resumed_run_makes_tensorboard_drop_later_steps(tmp_path):
    with open_metrics(tmp_path, 0) as write:
        for step in (1, 2, 3):
            write(step, loss=float(step))
    with open_metrics(tmp_path, 2) as write:
        write(3, loss=7.0)
    starts = [event.step for event in events(tmp_path) if event.session_log.status == tf.compat.v1.SessionLog.START]
    assert starts == [3]
