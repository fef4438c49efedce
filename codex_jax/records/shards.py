"""Reads a data set's shards. A batch is a pure function of (seed, step), so resuming needs no state."""

import contextlib
import itertools
import mmap
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.records.example import layout
from codex_jax.records.manifest import MANIFEST_NAME, read_manifest
from codex_jax.records.order import host_positions, record_indices
from codex_jax.records.tfrecord import FOOTER_BYTES, HEADER_BYTES, frame, payload_crcs, stored_crcs
from codex_jax.records.writer import shard_name

Batch = dict[str, np.ndarray]  # "tokens": int32 [N, seq_len + 1]; "loss_mask": uint8 [N, seq_len + 1], if stored

SAMPLED_ROWS = 8  # rows of a batch that are read first, to see whether its records are in memory
_NO_BYTES = np.empty(0, np.uint8)  # lets np.concatenate join zero rows


class _Shard:
    """A memory-mapped file. rows: uint8 [records, record_bytes]; advise(option, start, length): madvise on it."""

    def __init__(self, path: Path, count: int, record_bytes: int) -> None:
        self.rows = np.empty((0, record_bytes), np.uint8)
        if not count:  # an empty file cannot be mapped
            return
        try:
            with path.open("rb") as file:
                pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        self.advise = pages.madvise
        self.rows = np.frombuffer(pages, np.uint8).reshape(count, record_bytes)


class RecordDataset:
    """A data set written by codex_jax.corpus. Opening it maps the files into memory without reading them."""

    def __init__(self, folder: Path) -> None:
        """folder: contains manifest.json. InputError if its shards are missing, truncated or from another build."""
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._dtype, self._template, self._values = self._layout()
        constant = np.ones(len(self._template), bool)
        constant[-FOOTER_BYTES:] = False
        for position in self._values.values():
            constant[position] = False
        # The bytes that are equal in all records: the framing's header, and the tags and names of the Example.
        self._constant = np.flatnonzero(constant)
        self._refuse_unknown_files()
        self._splits = {name: self._open(name) for name in self.manifest["splits"]}

    @property
    def tokenizer_dir(self) -> Path:
        """The folder of the tokenizer that the records were made with."""
        return self.folder / "tokenizer"

    @property
    def digest(self) -> str:
        """The SHA-256 of everything that determines the records; empty if the manifest has none."""
        return self.manifest.get("digest", "")

    @property
    def masked(self) -> bool:
        """Whether the records have a loss_mask."""
        return "loss_mask" in self._values

    def _layout(self) -> tuple[np.dtype, np.ndarray, dict[str, slice]]:
        # (token dtype, a record of zeros, the position of each value). The record size tells if there is a loss_mask.
        manifest, length = self.manifest, self.manifest["seq_len"] + 1
        if manifest["dtype"] in ("<u2", "<u4"):
            dtype = np.dtype(manifest["dtype"])
            tokens = {"tokens": length * dtype.itemsize}
            for sizes in (tokens, {**tokens, "loss_mask": length}):
                payload, values = layout(sizes)
                template = np.frombuffer(frame(payload), np.uint8)
                if len(template) == manifest["record_bytes"]:
                    start = HEADER_BYTES
                    return dtype, template, {n: slice(v.start + start, v.stop + start) for n, v in values.items()}
        raise InputError(
            f"{self.folder / MANIFEST_NAME} is broken: records of {manifest['record_bytes']} bytes do not hold "
            f"{length} tokens of {manifest['dtype']}: build the data set again"
        )

    def _shard_paths(self, split: str) -> list[Path]:
        shards = len(self.manifest["splits"][split]["shards"])
        return [self.folder / shard_name(self.manifest["name"], split, shard, shards) for shard in range(shards)]

    def _refuse_unknown_files(self) -> None:
        # Other readers open every file that is named like a shard, so they would mix in the shards of another build.
        known = {path.name for split in self.manifest["splits"] for path in self._shard_paths(split)}
        pattern = re.compile(rf"{re.escape(self.manifest['name'])}-.+\.tfrecord-\d+-of-\d+")
        names = {path.name for path in self.folder.iterdir() if pattern.fullmatch(path.name)}
        if unknown := sorted(names - known):
            listed = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3} more" if len(unknown) > 3 else "")
            raise InputError(f"{self.folder} contains shards that are not in its manifest: remove {listed}")

    def _open(self, split: str) -> tuple[list[_Shard], np.ndarray]:
        # (shards, int64 [shards + 1]: the index of each shard's first record, then the number of records)
        counts = self.manifest["splits"][split]["shards"]
        record_bytes, shards = self.manifest["record_bytes"], []
        for path, count in zip(self._shard_paths(split), counts, strict=True):
            expected = count * record_bytes
            size = path.stat().st_size if path.is_file() else -1
            if size != expected:
                state = "missing" if size < 0 else f"{size} bytes instead of {expected}"
                raise InputError(f"{path} is {state}: build the data set again")
            shards.append(_Shard(path, count, record_bytes))
        return shards, np.cumsum([0, *counts])

    def _gather(self, split: str, index: np.ndarray) -> np.ndarray:
        # int64 [N] record numbers -> uint8 [N, record_bytes]
        shards, starts = self._splits[split]
        numbers, size = np.searchsorted(starts, index, "right") - 1, self.manifest["record_bytes"]
        within, shard_numbers = index - starts[numbers], numbers.tolist()
        rows = [shards[number].rows[row] for number, row in zip(shard_numbers, within.tolist(), strict=True)]
        out = np.empty((len(rows), size), np.uint8)
        faults = _major_faults()
        np.concatenate([_NO_BYTES, *rows[:SAMPLED_ROWS]], out=out[:SAMPLED_ROWS].reshape(-1))
        if _major_faults() > faults:
            # These rows came from disk. Requesting all others together is much faster than one page fault at a time.
            first = within * size & -mmap.PAGESIZE
            ranges = zip(shard_numbers, first.tolist(), (within * size + size - first).tolist(), strict=True)
            with contextlib.suppress(OSError):  # madvise is only a hint
                for number, start, length in itertools.islice(ranges, SAMPLED_ROWS, None):
                    shards[number].advise(mmap.MADV_WILLNEED, start, length)
        np.concatenate([_NO_BYTES, *rows[SAMPLED_ROWS:]], out=out[SAMPLED_ROWS:].reshape(-1))
        return out

    def records(self, split: str, index: np.ndarray) -> Batch:
        """The records with these numbers, int64 [N]. InputError if one is corrupt."""
        records = self._gather(split, index)
        valid = payload_crcs(records) == stored_crcs(records)
        constant_matches = records[:, self._constant] == self._template[self._constant]
        if not (valid.all() and constant_matches.all()):
            row = int(np.argmin(valid & constant_matches.all(axis=1)))
            if (records[row, :HEADER_BYTES] != self._template[:HEADER_BYTES]).any():
                fault = "its length is corrupt"
            else:
                fault = "its fields do not match the manifest" if valid[row] else "its payload is corrupt"
            raise InputError(f"{self.folder} {split} record {index[row]}: {fault}: build the data set again")
        batch = {"tokens": records[:, self._values["tokens"]].view(self._dtype).astype(np.int32)}
        if self.masked:
            batch["loss_mask"] = records[:, self._values["loss_mask"]].copy()
        return batch

    def size(self, split: str) -> int:
        """The number of records. InputError if there is no such split."""
        if split not in self.manifest["splits"]:
            raise InputError(f"{self.folder} has no split {split!r}: it has {', '.join(self.manifest['splits'])}")
        return self.manifest["splits"][split]["records"]

    def check(self, split: str) -> None:
        """InputError unless the split has records."""
        if not self.size(split):
            raise InputError(f"{self.folder} has no records in split {split!r}: build it from more repositories")

    def stream(self, split: str, seed: int, positions: np.ndarray) -> Batch:
        """The records at int64 [N] positions in the endless stream of epochs, each shuffled differently."""
        self.check(split)
        return self.records(split, record_indices(positions, self.size(split), seed))

    def batch(self, split: str, seed: int, step: int, batch_size: int, host: int = 0, hosts: int = 1) -> Batch:
        """This host's batch_size // hosts rows of the global batch of a step, from the stream of shuffled epochs.

        InputError if the split has no records, a record is corrupt, or the batch does not divide over the hosts.
        """
        return self.stream(split, seed, host_positions(step, batch_size, host, hosts))

    def sequential(self, split: str, batch_size: int, host: int = 0, hosts: int = 1) -> Iterator[Batch]:
        """This host's rows of all records in order. The last batch is padded: tokens end-of-text, loss_mask 0."""
        size = self.size(split)
        padding = {"tokens": self.manifest["tokenizer"]["eot"], "loss_mask": 0}
        for step in range(-(-size // batch_size)):
            index = host_positions(step, batch_size, host, hosts)
            batch = self.records(split, index[index < size])
            missing = ((0, len(index) - len(batch["tokens"])), (0, 0))
            yield {name: np.pad(rows, missing, constant_values=padding[name]) for name, rows in batch.items()}


def _major_faults() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_majflt
