"""Several data sets as one stream with exact shares: any row of it is computed, so that resuming costs nothing."""

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.records.manifest import Manifest
from codex_jax.records.order import host_rows, permute
from codex_jax.records.shards import Batch, RecordDataset

BLOCK = 65_536  # rows of the global stream in which every data set has exactly its share


def split_spec(spec: str) -> list[tuple[str, float]]:
    """PATH@WEIGHT,PATH@WEIGHT,... -> (path, weight) of each; without @WEIGHT it is 1."""
    parts = []
    for part in spec.split(","):
        path, at, weight = part.rpartition("@")
        try:
            parts.append((path, float(weight)) if at else (part, 1.0))
        except ValueError:  # an @ of the path itself
            parts.append((part, 1.0))
    if not all(path for path, _ in parts):
        raise InputError(f"{spec!r} names an empty path: give PATH or PATH@WEIGHT,PATH@WEIGHT,...")
    return parts


def quotas(weights: Sequence[float]) -> list[int]:
    """The rows of each in a block, by largest remainder, the first on a tie; ValueError unless all are above 0."""
    if not all(math.isfinite(weight) and weight > 0 for weight in weights):
        raise ValueError("weights must be above 0")
    total = sum(map(Fraction, weights))
    shares = [Fraction(weight) * BLOCK / total for weight in weights]
    rows = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(rows)), key=lambda i: rows[i] - shares[i])
    for i in by_remainder[: BLOCK - sum(rows)]:
        rows[i] += 1
    if not all(rows):
        raise ValueError(f"a weight is below 1/{BLOCK:,} of all")
    return rows


class Mixture:
    """Data sets by weight, read as one; validation is the first's, so that other mixtures can be compared with it."""

    def __init__(self, parts: Sequence[tuple[RecordDataset, float]]) -> None:
        """parts: (data set, weight); InputError unless all have the same tokenizer, seq_len and loss_mask or none."""
        self.datasets = [dataset for dataset, _ in parts]
        try:
            rows = quotas([weight for _, weight in parts])
        except ValueError as error:
            listed = ", ".join(f"{dataset.folder}@{weight:g}" for dataset, weight in parts)
            raise InputError(f"cannot mix {listed}: {error}") from None
        self.starts = np.cumsum([0, *rows])
        first = self.datasets[0]
        for other in self.datasets[1:]:
            for what, ours, theirs in (
                ("tokenizer", *(data.manifest["tokenizer"]["sha256"][:12] for data in (first, other))),
                ("seq_len", *(data.manifest["seq_len"] for data in (first, other))),
                ("loss_mask", *("present" if data.masked else "absent" for data in (first, other))),
            ):
                if ours != theirs:
                    raise InputError(
                        f"cannot mix {first.folder} and {other.folder}: {what} {ours} and {theirs}: build them alike"
                    )

    @property
    def manifest(self) -> Manifest:
        """The first data set's."""
        return self.datasets[0].manifest

    @property
    def tokenizer_dir(self) -> Path:
        """The folder of the tokenizer that all records were made with."""
        return self.datasets[0].tokenizer_dir

    def check(self, split: str) -> None:
        """InputError unless the split has records to train on in every data set."""
        for dataset in self.datasets:
            dataset.check(split)

    def sources(self, seed: int, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """int64 [N] rows of the mixed stream -> int64 [N] (data set, place in that data set's own stream) of each."""
        blocks, within = np.divmod(index, BLOCK)
        slots = np.empty_like(index)
        for block in np.unique(blocks):
            rows = blocks == block
            slots[rows] = permute(within[rows], BLOCK, seed, int(block))
        which = np.searchsorted(self.starts, slots, "right") - 1
        return which, np.diff(self.starts)[which] * blocks + slots - self.starts[which]

    def batch(self, split: str, seed: int, step: int, batch_size: int, host: int = 0, hosts: int = 1) -> Batch:
        """This host's rows of the global batch of `step`, as RecordDataset.batch()."""
        which, places = self.sources(seed, host_rows(step, batch_size, host, hosts))
        batch: Batch = {}
        for number in np.unique(which):
            rows = which == number
            for name, values in self.datasets[number].stream(split, seed, places[rows]).items():
                batch.setdefault(name, np.empty((len(rows), values.shape[1]), values.dtype))[rows] = values
        return batch

    def sequential(self, split: str, batch_size: int, host: int = 0, hosts: int = 1) -> Iterator[Batch]:
        """The first data set's, as RecordDataset.sequential()."""
        return self.datasets[0].sequential(split, batch_size, host, hosts)
