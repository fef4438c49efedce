"""Assigns documents to splits and shards, and writes the metadata and the manifest at the end of a build."""

import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.records.manifest import (
    MANIFEST_NAME,
    Manifest,
    SplitEntry,
    TokenizerEntry,
    digest,
    newest_version,
    read_manifest,
    write_manifest,
)
from codex_jax.records.metadata import write_metadata
from codex_jax.records.writer import record_bytes, shard_name, token_dtype
from codex_jax.storage.jsonl import write_objects
from codex_jax.storage.remote_files import Folder, upload
from codex_jax.text.hashing import BASE, mix
from codex_jax.text.splits import HELD_OUT, Boundaries, extend, fill, repo_hash
from codex_jax.text.tokenizers import Tokenizer

SPLITS = ("train", "validation", "test")
CONTAMINATED = "contaminated.jsonl"


@dataclass
class Tally:
    """Counts of what was read and dropped in all parts."""

    documents: int
    bytes: int
    dropped: dict[str, int]
    contaminated: list[tuple[str, str]]  # (document, problem)


def earlier_boundaries(out: Path, seed: int) -> Boundaries | None:
    """Where the splits of the newest version of DIR/NAME end; None if there is none or its seed differs."""
    newest = newest_version(out)
    entry = read_manifest(newest).get("boundaries") if newest else None
    if not entry or entry["seed"] != seed:
        return None
    members = {repo_hash(name): split for split in HELD_OUT for name in entry["repositories"][split]}
    ends = {split: int(entry["ends"][split], 16) for split in HELD_OUT}
    return Boundaries(seed, ends, members, frozenset(map(repo_hash, entry["exceptions"])))


def decide(settings: Settings, repos: np.ndarray, tokens: np.ndarray, earlier: Boundaries | None) -> Boundaries:
    """Decides where the splits end. repos: uint64 [R] hashes; tokens: int64 [R], per repository."""
    targets = {"test": settings.test_tokens, "validation": settings.validation_tokens}
    return extend(earlier, repos, tokens, targets) if earlier else fill(repos, tokens, targets, settings.seed)


def copies(key_high: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """int64 [N]: how many times each document is written.

    A weight of 2.3 means twice, and a third time for the 30% of documents with the smallest keys.
    key_high: uint64 [N], the first 8 bytes of the keys; weights: float64 [N].
    """
    whole = np.floor(weights)
    return (whole + (key_high / 2.0**64 < weights - whole)).astype(np.int64)


def shard_count(settings: Settings, tokens: int, bytes_per_token: int) -> int:
    """The number of shards of a split with this many tokens."""
    return settings.shards or max(1, -(-tokens * bytes_per_token // settings.shard_bytes))


def shard_of(key_high: np.ndarray, shards: int) -> np.ndarray:
    """uint64 [N] keys -> int64 [N] shard numbers: shards are equal intervals of keys."""
    return ((key_high >> np.uint64(32)) * np.uint64(shards) >> np.uint64(32)).astype(np.int64)


def key_of_copy(key_high: np.ndarray, copy: np.ndarray) -> np.ndarray:
    """uint64 [N]: the key that decides where a repeated document is written; copy 0 keeps its own key."""
    moved = mix(key_high + copy.astype(np.uint64) * np.uint64(BASE))
    return np.where(copy == 0, key_high, moved)


def make_manifest(
    name: str,
    settings: Settings,
    tokenizer: Tokenizer,
    tally: Tally,
    splits: Mapping[str, SplitEntry],
    shard_hashes: Iterable[str],
    boundaries: Boundaries,
    names: Mapping[int, str],
    masked: bool,
) -> Manifest:
    """The manifest of a finished build.

    shard_hashes: SHA-256 of each shard, in the order of SPLITS; names: repository hash -> name, of the members and
    exceptions in `boundaries`; masked: whether the records have a loss mask.
    """
    entry = TokenizerEntry(
        kind=tokenizer.kind, sha256=tokenizer.sha256, vocab_size=tokenizer.vocab_size, eot=tokenizer.eot
    )
    dtype = token_dtype(tokenizer.vocab_size)
    members = boundaries.members.items()
    return Manifest(
        name=name,
        version=settings.version,
        digest=digest(tokenizer.sha256, settings.seq_len, list(shard_hashes)),
        sources=list(settings.sources),
        settings=asdict(settings),
        tokenizer=entry,
        seq_len=settings.seq_len,
        dtype=dtype.str,
        record_bytes=record_bytes(settings.seq_len, dtype, masked),
        documents=tally.documents,
        bytes=tally.bytes,
        splits={split: splits[split] for split in SPLITS},
        dropped={reason: count for reason, count in sorted(tally.dropped.items()) if count},
        boundaries={
            "seed": boundaries.seed,
            "ends": {split: format(boundaries.ends[split], "x") for split in HELD_OUT},
            "repositories": {
                held_out: sorted(names[repo] for repo, split in members if split == held_out and repo in names)
                for held_out in HELD_OUT
            },
            "exceptions": sorted(names[repo] for repo in boundaries.exceptions if repo in names),
        },
    )


def publish(folder: Folder, manifest: Manifest, tally: Tally, masked: bool) -> None:
    """Writes the list of contaminated documents and TFDS's metadata, then the manifest, which marks completion."""
    with tempfile.TemporaryDirectory() as local:
        # TFDS looks for the shards in the folder that it writes to. They may be remote, so empty files replace them.
        shards = [
            Path(local) / shard_name(manifest["name"], split, number, len(entry["shards"]))
            for split, entry in manifest["splits"].items()
            for number in range(len(entry["shards"]))
        ]
        for shard in shards:
            shard.touch()
        rows = sorted(tally.contaminated)
        listed = ({"document": document, "problem": problem} for document, problem in rows)
        write_objects(Path(local) / CONTAMINATED, listed)
        write_metadata(Path(local), manifest, masked)
        for path in {*Path(local).iterdir()} - {*shards}:
            upload(path, folder, path.name)
        write_manifest(Path(local), manifest)
        upload(Path(local) / MANIFEST_NAME, folder, MANIFEST_NAME)


def check_kept(kept: int, problems: int, tally: Tally, settings: Settings) -> None:
    """InputError if nothing was kept, or if plain files and problems are mixed."""
    if not kept:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(tally.dropped.items())) or "nothing"
        raise InputError(
            f"no usable file in {' '.join(settings.sources)}: {tally.documents} read, left out by reason: {reasons}"
        )
    if 0 < problems < kept:
        raise InputError("plain files and problems cannot be mixed: build a data set of each")
