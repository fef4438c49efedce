"""manifest.json: what a data set is, and by which a reader tells that all of it is there. It is written last."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict

from codex_jax.errors import InputError

NAME = "manifest.json"


class Split(TypedDict):
    """shards: the records of each; tokens with end-of-text; bytes of UTF-8 text."""

    records: int
    shards: list[int]
    documents: int
    tokens: int
    bytes: int


class TokenizerEntry(TypedDict):
    """Which tokenizer made the records."""

    kind: str
    sha256: str
    vocab_size: int
    eot: int


class Boundaries(TypedDict):
    """Where the splits end (see text/splits.py). ends: ranks in hexadecimal; repositories: of the small splits."""

    seed: int
    ends: dict[str, str]
    repositories: dict[str, list[str]]
    exceptions: list[str]


class Manifest(TypedDict):
    """documents, bytes: what was read; dropped: documents by reason; record_bytes: of one framed record."""

    name: str
    version: str
    digest: str
    sources: list[str]
    settings: dict[str, Any]
    tokenizer: TokenizerEntry
    seq_len: int
    dtype: str
    record_bytes: int
    documents: int
    bytes: int
    splits: dict[str, Split]
    dropped: dict[str, int]
    boundaries: Boundaries


def digest(tokenizer_sha256: str, seq_len: int, shard_sha256: list[str]) -> str:
    """SHA-256 over all that decides the records: equal digests mean equal data sets."""
    return hashlib.sha256(json.dumps([tokenizer_sha256, seq_len, shard_sha256]).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """folder/manifest.json, whole or not at all."""
    temporary = folder / (NAME + ".tmp")
    temporary.write_text(json.dumps(manifest, indent=2) + "\n")
    temporary.rename(folder / NAME)


def read_manifest(folder: Path) -> Manifest:
    """InputError where it is missing or broken."""
    try:
        values: Any = json.loads((folder / NAME).read_text())
        _check(values)
    except OSError as error:
        raise InputError(f"cannot read {folder / NAME}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / NAME} is broken ({error!r}): build the data set again") from None
    return values


def _check(values: Any) -> None:
    numbers = [values["seq_len"], values["record_bytes"], values["tokenizer"]["vocab_size"], values["tokenizer"]["eot"]]
    texts = [values["name"], values["dtype"], values["tokenizer"]["sha256"]]
    for split in values["splits"].values():
        numbers += [split["records"], split["bytes"], *split["shards"]]
        if sum(split["shards"]) != split["records"]:
            raise ValueError("its shards do not add up to its records")
    if not all(type(number) is int and number >= 0 for number in numbers) or not all(map(str.strip, texts)):
        raise ValueError("a number or a name is missing")


def newest(folder: Path) -> Manifest | None:
    """The manifest of the newest version in DIR/NAME, or None where there is none."""
    found = sorted(folder.glob(f"[!.]*/{NAME}"), key=version_of)
    return read_manifest(found[-1].parent) if found else None


def version_of(path: Path) -> list[int]:
    """The numbers of the version whose folder holds this manifest: 1.10.0 is newer than 1.9.0."""
    return [int(number) for number in path.parent.name.split(".") if number.isdigit()]
