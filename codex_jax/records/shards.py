"""A data set of shards: a batch is a pure function of (seed, step), for any number of hosts; resuming costs nothing."""

import contextlib
import itertools
import mmap
import re
import resource
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from codex_jax.errors import InputError
from codex_jax.records.example import decode, layout
from codex_jax.records.manifest import NAME, read_manifest
from codex_jax.records.order import host_rows, places
from codex_jax.records.tfrecord import FOOTER_BYTES, HEADER_BYTES, frame, payload_crcs, stored_crcs, unframe
from codex_jax.records.writer import shard_name

Batch = dict[str, np.ndarray]

PROBED = 8  # records of a batch that tell whether it lies in memory already
_NOTHING = np.empty(0, np.uint8)  # so that no rows can be joined too


class _Shard:
    """A mapped file. rows: uint8 [records, record_bytes]; advise(kind, start, size) is madvise on it."""

    def __init__(self, path: Path, count: int, record_bytes: int) -> None:
        self.rows = np.empty((0, record_bytes), np.uint8)
        if not count:  # a file of no bytes cannot be mapped
            return
        try:
            with path.open("rb") as file:
                pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror}") from None
        self.advise = pages.madvise
        self.rows = np.frombuffer(pages, np.uint8).reshape(count, record_bytes)


class RecordDataset:
    """A data set that codex_jax.corpus wrote; the files are mapped, not read, when it is opened."""

    def __init__(self, folder: Path) -> None:
        """folder: the one that holds manifest.json; InputError where shards are missing, cut short or too many."""
        self.folder = folder
        self.manifest = read_manifest(folder)
        self._dtype, template, self._values = self._layout()
        fixed = np.ones(len(template), bool)
        fixed[-FOOTER_BYTES:] = False
        for value in self._values.values():
            fixed[value] = False
        # The bytes that are the same in every record: its framing's header, and the Example's tags and names.
        self._fixed = np.flatnonzero(fixed)
        self._expected = template[self._fixed]
        self._refuse_strangers()
        self._splits = {name: self._open(name) for name in self.manifest["splits"]}

    @property
    def tokenizer_dir(self) -> Path:
        """The folder of the tokenizer the records were made with."""
        return self.folder / "tokenizer"

    @property
    def masked(self) -> bool:
        """Whether the records have a loss_mask."""
        return "loss_mask" in self._values

    def _layout(self) -> tuple[np.dtype, np.ndarray, dict[str, slice]]:
        # The manifest has the size of a record, and that tells whether there is a loss_mask.
        manifest, length = self.manifest, self.manifest["seq_len"] + 1
        if manifest["dtype"] in ("<u2", "<u4"):
            dtype = np.dtype(manifest["dtype"])
            tokens = {"tokens": length * dtype.itemsize}
            for sizes in (tokens, {**tokens, "loss_mask": length}):
                payload, values = layout(sizes)
                template = np.frombuffer(frame(payload), np.uint8)
                if len(template) == manifest["record_bytes"]:
                    at = HEADER_BYTES
                    return dtype, template, {n: slice(v.start + at, v.stop + at) for n, v in values.items()}
        raise InputError(
            f"{self.folder / NAME} is broken: records of {manifest['record_bytes']} bytes do not hold "
            f"{length} tokens of {manifest['dtype']}: build the data set again"
        )

    def _shards(self, split: str) -> list[Path]:
        shards = len(self.manifest["splits"][split]["shards"])
        return [self.folder / shard_name(self.manifest["name"], split, shard, shards) for shard in range(shards)]

    def _refuse_strangers(self) -> None:
        # Other readers take every file that is named like a shard, so that those of another build would be mixed in.
        ours = {path.name for split in self.manifest["splits"] for path in self._shards(split)}
        pattern = re.compile(rf"{re.escape(self.manifest['name'])}-.+\.tfrecord-\d+-of-\d+")
        found = sorted(path.name for path in self.folder.iterdir() if pattern.fullmatch(path.name))
        if strangers := [name for name in found if name not in ours]:
            listed = ", ".join(strangers[:3]) + (f" and {len(strangers) - 3} more" if len(strangers) > 3 else "")
            raise InputError(f"{self.folder} holds shards of another build, which its manifest lacks: remove {listed}")

    def _open(self, split: str) -> tuple[list["_Shard"], np.ndarray]:
        counts = self.manifest["splits"][split]["shards"]
        record_bytes, shards = self.manifest["record_bytes"], []
        for path, count in zip(self._shards(split), counts, strict=True):
            wanted = count * record_bytes
            size = path.stat().st_size if path.is_file() else -1
            if size != wanted:
                state = "missing" if size < 0 else f"{size} bytes and not {wanted}"
                raise InputError(f"{path} is {state}: build the data set again")
            shards.append(_Shard(path, count, record_bytes))
        return shards, np.cumsum([0, *counts])

    def _gather(self, split: str, index: np.ndarray) -> np.ndarray:
        shards, starts = self._splits[split]
        numbers, size = np.searchsorted(starts, index, "right") - 1, self.manifest["record_bytes"]
        within, which = index - starts[numbers], numbers.tolist()
        rows = [shards[number].rows[place] for number, place in zip(which, within.tolist(), strict=True)]
        out = np.empty((len(rows), size), np.uint8)
        faults = _major_faults()
        np.concatenate([_NOTHING, *rows[:PROBED]], out=out[:PROBED].reshape(-1))
        if _major_faults() > faults:
            # They came from a disk: it is asked for all others at once, as waiting for each fault takes far longer.
            first = within * size & -mmap.PAGESIZE
            wanted = zip(which, first.tolist(), (within * size + size - first).tolist(), strict=True)
            with contextlib.suppress(OSError):  # it is only advice
                for number, start, length in itertools.islice(wanted, PROBED, None):
                    shards[number].advise(mmap.MADV_WILLNEED, start, length)
        np.concatenate([_NOTHING, *rows[PROBED:]], out=out[PROBED:].reshape(-1))
        return out

    def records(self, split: str, index: np.ndarray) -> Batch:
        """The records at these places: {"tokens": int32 [N, seq_len + 1], "loss_mask": uint8, where stored}."""
        records = self._gather(split, index)
        sound = (records[:, self._fixed] == self._expected).all(axis=1)
        sound &= payload_crcs(records) == stored_crcs(records)
        if not sound.all():
            row = int(np.argmin(sound))
            fault = f"{self.folder} {split} record {index[row]}: {_fault(records[row].tobytes())}"
            raise InputError(f"{fault}: build the data set again")
        batch = {"tokens": records[:, self._values["tokens"]].view(self._dtype).astype(np.int32)}
        if self.masked:
            batch["loss_mask"] = records[:, self._values["loss_mask"]].copy()
        return batch

    def size(self, split: str) -> int:
        """The number of records; InputError where there is no such split."""
        if split not in self.manifest["splits"]:
            raise InputError(f"{self.folder} has no split {split!r}: it has {', '.join(self.manifest['splits'])}")
        return self.manifest["splits"][split]["records"]

    def check(self, split: str) -> None:
        """InputError unless the split has records to train on."""
        if not self.size(split):
            raise InputError(f"{self.folder} has no records in split {split!r}: build it from more repositories")

    def stream(self, split: str, seed: int, index: np.ndarray) -> Batch:
        """The records at these places of the endless stream of shuffled epochs; InputError as batch()."""
        self.check(split)
        return self.records(split, places(index, self.size(split), seed))

    def batch(self, split: str, seed: int, step: int, batch_size: int, host: int = 0, hosts: int = 1) -> Batch:
        """This host's rows of the global batch of `step`: epochs follow each other, each shuffled anew."""
        return self.stream(split, seed, host_rows(step, batch_size, host, hosts))

    def sequential(self, split: str, batch_size: int, host: int = 0, hosts: int = 1) -> Iterator[Batch]:
        """This host's rows of all records once, in order; the last batch is filled with rows of end-of-text."""
        size = self.size(split)
        fill = {"tokens": self.manifest["tokenizer"]["eot"], "loss_mask": 0}
        for step in range(-(-size // batch_size)):
            index = host_rows(step, batch_size, host, hosts)
            batch = self.records(split, index[index < size])
            missing = ((0, len(index) - len(batch["tokens"])), (0, 0))
            yield {name: np.pad(rows, missing, constant_values=fill[name]) for name, rows in batch.items()}


def _major_faults() -> int:
    return resource.getrusage(resource.RUSAGE_THREAD).ru_majflt


def _fault(record: bytes) -> str:
    try:
        decode(unframe(record))
    except ValueError as error:
        return str(error)
    return "its fields are not those that the manifest tells"
