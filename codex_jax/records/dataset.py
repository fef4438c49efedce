"""Opens the data set, or the mixture of data sets, that a path names."""

from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.records.manifest import MANIFEST_NAME, newest_version
from codex_jax.records.mixture import Mixture, split_spec
from codex_jax.records.shards import RecordDataset

Dataset = RecordDataset | Mixture


def open_dataset(path: str | Path) -> Dataset:
    """path: DIR/NAME (its newest version), DIR/NAME/VERSION, or a mixture PATH@WEIGHT,PATH@WEIGHT,...

    InputError if there is no data set, or if the parts of a mixture do not fit together.
    """
    if Path(path).is_dir():
        return _open_one(Path(path))
    parts = [(_open_one(Path(part)), weight) for part, weight in split_spec(str(path))]
    return parts[0][0] if len(parts) == 1 else Mixture(parts)


def _open_one(folder: Path) -> RecordDataset:
    version = folder if (folder / MANIFEST_NAME).is_file() else newest_version(folder)
    if not version:
        command = f"python -m codex_jax.corpus SOURCE --out {folder} --tokenizer p50k"
        raise InputError(f"no data set at {folder}: build one with {command}")
    return RecordDataset(version)
