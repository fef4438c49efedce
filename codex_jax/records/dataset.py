"""Reading: a batch is a pure function of (seed, step), for any number of hosts, and resuming costs nothing."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.records.example import decode
from codex_jax.records.manifest import read_manifest
from codex_jax.records.order import places
from codex_jax.records.tfrecord import unframe
from codex_jax.records.writer import shard_name

Batch = dict[str, np.ndarray]


class RecordDataset:
    """A data set that codex_jax.corpus wrote; the files are mapped, not read, when it is opened."""

    def __init__(self, folder: Path) -> None:
        """folder: the one that holds manifest.json; InputError where shards are missing or cut short."""
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._dtype = np.dtype(self.manifest["dtype"])
        self._splits = {name: self._open(name) for name in self.manifest["splits"]}

    @property
    def tokenizer_dir(self) -> Path:
        """The folder of the tokenizer the records were made with."""
        return self.folder / "tokenizer"

    def _open(self, split: str) -> tuple[list[np.ndarray], np.ndarray]:
        counts = self.manifest["splits"][split]["shards"]
        maps = []
        for shard, count in enumerate(counts):
            path = self.folder / shard_name(self.manifest["name"], split, shard, len(counts))
            wanted = count * self.manifest["record_bytes"]
            size = path.stat().st_size if path.is_file() else -1
            if size != wanted:
                state = "missing" if size < 0 else f"{size} bytes and not {wanted}"
                raise InputError(f"{path} is {state}: build the data set again")
            data = np.memmap(path, np.uint8, "r") if size else np.zeros(0, np.uint8)
            maps.append(data.reshape(count, self.manifest["record_bytes"]))
        return maps, np.cumsum([0, *counts])

    def records(self, split: str, index: np.ndarray) -> Batch:
        """The records at these places: {"tokens": int32 [N, seq_len + 1], "loss_mask": uint8, where stored}."""
        maps, starts = self._splits[split]
        rows: dict[str, list[np.ndarray]] = {}
        for place in index:
            shard = int(np.searchsorted(starts, place, "right")) - 1
            try:
                features = decode(unframe(maps[shard][place - starts[shard]].tobytes()))
            except ValueError as error:
                raise InputError(f"{self.folder} {split} record {place}: {error}: build the data set again") from None
            for name, data in features.items():
                rows.setdefault(name, []).append(np.frombuffer(data, self._dtype if name == "tokens" else np.uint8))
        batch = {name: np.stack(values) for name, values in rows.items()}
        return {**batch, "tokens": batch["tokens"].astype(np.int32)}

    def _size(self, split: str) -> int:
        if split not in self.manifest["splits"]:
            raise InputError(f"{self.folder} has no split {split!r}: it has {', '.join(self.manifest['splits'])}")
        return self.manifest["splits"][split]["records"]

    def batch(self, split: str, seed: int, step: int, batch_size: int, host: int = 0, hosts: int = 1) -> Batch:
        """This host's rows of the global batch of `step`: epochs follow each other, each shuffled anew."""
        if batch_size < 1 or batch_size % hosts:
            raise InputError(f"a batch of {batch_size} does not divide over {hosts} hosts")
        size = self._size(split)
        if not size:
            raise InputError(f"{self.folder} has no records in split {split!r}: build it from more repositories")
        rows = batch_size // hosts
        return self.records(split, places(step * batch_size + host * rows, rows, size, seed))

    def sequential(self, split: str, batch_size: int) -> Iterator[Batch]:
        """All records once, in order; the last batch is filled with rows of end-of-text, which are padding."""
        size = self._size(split)
        for start in range(0, size, batch_size):
            batch = self.records(split, np.arange(start, min(start + batch_size, size)))
            missing = batch_size - len(batch["tokens"])
            fill = {"tokens": self.manifest["tokenizer"]["eot"], "loss_mask": 0}
            yield {
                name: np.pad(rows, ((0, missing), (0, 0)), constant_values=fill[name]) for name, rows in batch.items()
            }


def open_dataset(path: str | Path) -> RecordDataset:
    """path: DIR/NAME (its newest version), DIR/NAME/VERSION; InputError where there is none."""
    folder = Path(path)
    versions = sorted(folder.glob("*/manifest.json"), key=_version)
    if not (folder / "manifest.json").is_file():
        if not versions:
            raise InputError(f"no data set at {folder}: python -m codex_jax.corpus SOURCE --out {folder}")
        folder = versions[-1].parent
    return RecordDataset(folder)


def _version(manifest: Path) -> list[int]:
    return [int(number) for number in manifest.parent.name.split(".") if number.isdigit()]
