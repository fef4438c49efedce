"""What is read to train on: a data set or a mixture of several, by the path or the paths that name it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from codex_jax.errors import InputError
from codex_jax.records.manifest import NAME, Manifest, version_of
from codex_jax.records.mixture import Mixture, split_spec
from codex_jax.records.shards import Batch, RecordDataset


class Dataset(Protocol):
    """What training knows of its data: one data set or a mixture."""

    @property
    def manifest(self) -> Manifest:
        """The manifest that decides tokenizer, seq_len and validation."""
        ...

    @property
    def tokenizer_dir(self) -> Path:
        """The folder of the tokenizer the records were made with."""
        ...

    def check(self, split: str) -> None:
        """InputError unless the split has records to train on."""
        ...

    def batch(self, split: str, seed: int, step: int, batch_size: int, host: int = 0, hosts: int = 1) -> Batch:
        """This host's rows of the global batch of `step`: a pure function of its arguments."""
        ...

    def sequential(self, split: str, batch_size: int, host: int = 0, hosts: int = 1) -> Iterator[Batch]:
        """This host's rows of batches that hold each record once, in order."""
        ...


def open_dataset(path: str | Path) -> Dataset:
    """path: DIR/NAME (its newest version) or DIR/NAME/VERSION, or a mixture's PATH@WEIGHT,PATH@WEIGHT,...

    InputError where there is none, or where the parts of a mixture do not fit together.
    """
    if Path(path).is_dir():
        return _open_one(Path(path))
    parts = [(_open_one(Path(part)), weight) for part, weight in split_spec(str(path))]
    return parts[0][0] if len(parts) == 1 else Mixture(parts)


def _open_one(folder: Path) -> RecordDataset:
    # .VERSION.incomplete is one that is being written.
    versions = sorted(folder.glob("[!.]*/manifest.json"), key=version_of)
    if not (folder / NAME).is_file():
        if not versions:
            made_by = f"python -m codex_jax.corpus SOURCE --out {folder} --tokenizer p50k"
            raise InputError(f"no data set at {folder}: {made_by}")
        folder = versions[-1].parent
    return RecordDataset(folder)
