"""manifest.json, which describes a data set. It is written last, so a data set with a manifest is complete."""

import hashlib
import json
from pathlib import Path
from typing import Any, TypedDict

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_text_atomic

MANIFEST_NAME = "manifest.json"


class SplitEntry(TypedDict):
    """The size of a split."""

    records: int
    shards: list[int]  # number of records per shard
    documents: int
    tokens: int  # including end-of-text
    bytes: int  # of UTF-8 text


class TokenizerEntry(TypedDict):
    """The tokenizer that the records were made with."""

    kind: str
    sha256: str
    vocab_size: int
    eot: int


class BoundariesEntry(TypedDict):
    """text.splits.Boundaries, with repositories by name."""

    seed: int
    ends: dict[str, str]  # ranks in hexadecimal
    repositories: dict[str, list[str]]  # of test and validation
    exceptions: list[str]


class Manifest(TypedDict):
    """The contents of manifest.json."""

    name: str
    version: str
    digest: str
    sources: list[str]
    settings: dict[str, Any]
    tokenizer: TokenizerEntry
    seq_len: int
    dtype: str  # of the stored tokens
    record_bytes: int  # of each record with its framing
    documents: int  # number read from the sources
    bytes: int  # number read from the sources
    splits: dict[str, SplitEntry]
    dropped: dict[str, int]  # documents by reason
    boundaries: BoundariesEntry


def digest(tokenizer_sha256: str, seq_len: int, shard_sha256: list[str]) -> str:
    """A SHA-256 of everything that determines the records: data sets with equal digests have equal records."""
    return hashlib.sha256(json.dumps([tokenizer_sha256, seq_len, shard_sha256]).encode()).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Writes folder/manifest.json atomically."""
    write_text_atomic(folder / MANIFEST_NAME, json.dumps(manifest, indent=2) + "\n")


def read_manifest(folder: Path) -> Manifest:
    """Reads folder/manifest.json. InputError if it is missing or invalid."""
    path = folder / MANIFEST_NAME
    try:
        values: Any = json.loads(path.read_text())
        _check(values)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is broken ({error!r}): build the data set again") from None
    return values


def _check(values: Any) -> None:
    numbers = [values["seq_len"], values["record_bytes"], values["tokenizer"]["vocab_size"], values["tokenizer"]["eot"]]
    texts = [values["name"], values["dtype"], values["tokenizer"]["sha256"]]
    for split in values["splits"].values():
        numbers += [split["records"], split["bytes"], *split["shards"]]
        if sum(split["shards"]) != split["records"]:
            raise ValueError("the records of the shards do not add up to those of the split")
    if not all(type(number) is int and number >= 0 for number in numbers) or not all(map(str.strip, texts)):
        raise ValueError("a number or a name is missing")


def newest_version(folder: Path) -> Path | None:
    """The folder of the newest version in DIR/NAME, or None. Incomplete builds, .VERSION.incomplete, are ignored."""
    return max((path.parent for path in folder.glob(f"[!.]*/{MANIFEST_NAME}")), key=_version_numbers, default=None)


def _version_numbers(folder: Path) -> list[int]:
    return [int(number) for number in folder.name.split(".") if number.isdigit()]  # 1.10.0 is newer than 1.9.0
