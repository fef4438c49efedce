"""Mixes data sets by weight. Any row of the mixed stream can be computed directly, so resuming needs no state."""

import hashlib
import json
import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.records.manifest import Manifest
from codex_jax.records.order import host_positions, permute
from codex_jax.records.shards import Batch, RecordDataset

BLOCK = 65_536  # rows of the mixed stream; in each block every data set has exactly its share of the rows


def split_spec(spec: str) -> list[tuple[str, float]]:
    """PATH@WEIGHT,PATH@WEIGHT,... -> pairs (path, weight). The weight defaults to 1."""
    parts = []
    for part in spec.split(","):
        path, at, weight = part.rpartition("@")
        try:
            parts.append((path, float(weight)) if at else (part, 1.0))
        except ValueError:  # the @ belongs to the path
            parts.append((part, 1.0))
    if not all(path for path, _ in parts):
        raise InputError(f"{spec!r} contains an empty path: give PATH or PATH@WEIGHT,PATH@WEIGHT,...")
    return parts


def quotas(weights: Sequence[float]) -> list[int]:
    """Divides a block's rows by the largest remainder method. ValueError if a weight is not positive or too small."""
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


def _properties(data: RecordDataset) -> dict[str, object]:
    # The properties that must be the same for all data sets of a mixture.
    return {
        "tokenizer": data.manifest["tokenizer"]["sha256"][:12],
        "seq_len": data.manifest["seq_len"],
        "loss_mask": "present" if data.masked else "absent",
    }


class Mixture:
    """Several data sets read as one, with the interface of RecordDataset.

    The first data set provides the manifest, the tokenizer, and the validation records, on which mixtures are compared.
    """

    def __init__(self, parts: Sequence[tuple[RecordDataset, float]]) -> None:
        """parts: (data set, weight). InputError unless tokenizer, seq_len and presence of a loss_mask are the same."""
        self.datasets = [dataset for dataset, _ in parts]
        try:
            rows = quotas([weight for _, weight in parts])
        except ValueError as error:
            listed = ", ".join(f"{dataset.folder}@{weight:g}" for dataset, weight in parts)
            raise InputError(f"cannot mix {listed}: {error}") from None
        self.starts = np.cumsum([0, *rows])
        first = self.datasets[0]
        for other in self.datasets[1:]:
            for (name, expected), actual in zip(_properties(first).items(), _properties(other).values(), strict=True):
                if expected != actual:
                    raise InputError(
                        f"cannot mix {first.folder} and {other.folder}: {name} {expected} and {actual}: "
                        "build both with the same settings"
                    )

    @property
    def manifest(self) -> Manifest:
        """The manifest of the first data set."""
        return self.datasets[0].manifest

    @property
    def digest(self) -> str:
        """The SHA-256 of the digests of all data sets and their rows per block; empty if one has no digest."""
        digests = [dataset.digest for dataset in self.datasets]
        text = json.dumps([digests, np.diff(self.starts).tolist()])
        return hashlib.sha256(text.encode()).hexdigest() if all(digests) else ""

    @property
    def tokenizer_dir(self) -> Path:
        """The folder of the tokenizer of all data sets."""
        return self.datasets[0].tokenizer_dir

    def check(self, split: str) -> None:
        """InputError unless every data set has records in this split."""
        for dataset in self.datasets:
            dataset.check(split)

    def locate(self, seed: int, positions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Maps int64 [N] positions in the mixed stream to (data set, position in its own stream), int64 [N] each."""
        blocks, within = np.divmod(positions, BLOCK)
        slots = np.empty_like(positions)
        for block in np.unique(blocks):
            rows = blocks == block
            slots[rows] = permute(within[rows], BLOCK, seed, int(block))
        numbers = np.searchsorted(self.starts, slots, "right") - 1
        return numbers, np.diff(self.starts)[numbers] * blocks + slots - self.starts[numbers]

    def batch(self, split: str, seed: int, step: int, batch_size: int, host: int = 0, hosts: int = 1) -> Batch:
        """This host's rows of the global batch of a step; see RecordDataset.batch."""
        numbers, positions = self.locate(seed, host_positions(step, batch_size, host, hosts))
        batch: Batch = {}
        for number in np.unique(numbers):
            rows = numbers == number
            for name, values in self.datasets[number].stream(split, seed, positions[rows]).items():
                batch.setdefault(name, np.empty((len(rows), values.shape[1]), values.dtype))[rows] = values
        return batch

    def sequential(self, split: str, batch_size: int, host: int = 0, hosts: int = 1) -> Iterator[Batch]:
        """The records of the first data set; see RecordDataset.sequential."""
        return self.datasets[0].sequential(split, batch_size, host, hosts)
