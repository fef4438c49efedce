"""What all engines end with: splits, shards, manifest and metadata."""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.records.manifest import (
    Manifest,
    SplitEntry,
    TokenizerEntry,
    digest,
    newest_version,
    read_manifest,
    write_manifest,
)
from codex_jax.records.metadata import write_metadata
from codex_jax.records.writer import record_bytes, token_dtype
from codex_jax.storage.jsonl import write_objects
from codex_jax.text.hashing import BASE, mix
from codex_jax.text.splits import HELD_OUT, Boundaries, extend, fill, repo_hash
from codex_jax.text.tokenizers import Tokenizer

SPLITS = ("train", "validation", "test")
CONTAMINATED = "contaminated.jsonl"


@dataclass
class Tally:
    """What was read and left out, added up over all parts."""

    documents: int
    bytes: int
    dropped: dict[str, int]
    contaminated: list[tuple[str, str]]  # (document, problem)


def earlier_boundaries(out: Path, seed: int) -> Boundaries | None:
    """Where the splits of the newest version of DIR/NAME end, if there is one of this seed."""
    newest = newest_version(out)
    kept = read_manifest(newest).get("boundaries") if newest else None
    if not kept or kept["seed"] != seed:
        return None
    members = {repo_hash(name): split for split in HELD_OUT for name in kept["repositories"][split]}
    ends = {split: int(kept["ends"][split], 16) for split in HELD_OUT}
    return Boundaries(seed, ends, members, frozenset(map(repo_hash, kept["exceptions"])))


def decide(settings: Settings, repos: np.ndarray, tokens: np.ndarray, earlier: Boundaries | None) -> Boundaries:
    """uint64 [R] hashes of repositories and int64 [R] their tokens -> where the splits end."""
    targets = {"test": settings.test_tokens, "validation": settings.validation_tokens}
    return extend(earlier, repos, tokens, targets) if earlier else fill(repos, tokens, targets, settings.seed)


def copies(key_high: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """int64 [N]: how often each training document comes, by the first 8 bytes of its key and its source's weight."""
    whole = np.floor(weights)
    return (whole + (key_high / 2.0**64 < weights - whole)).astype(np.int64)


def shard_count(settings: Settings, tokens: int, bytes_a_token: int) -> int:
    """The files of a split with so many tokens."""
    return settings.shards or max(1, -(-tokens * bytes_a_token // settings.shard_bytes))


def shard_of(key_high: np.ndarray, shards: int) -> np.ndarray:
    """uint64 [N] keys -> int64 [N]: shards are equal intervals of keys."""
    return ((key_high >> np.uint64(32)) * np.uint64(shards) >> np.uint64(32)).astype(np.int64)


def key_of_copy(key_high: np.ndarray, copy: np.ndarray) -> np.ndarray:
    """uint64 [N]: where a copy stands; copy 0 is the document itself."""
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
    """names: of the repositories in boundaries' members and exceptions; shard_hashes: in the order of SPLITS."""
    entry = TokenizerEntry(
        kind=tokenizer.kind, sha256=tokenizer.sha256, vocab_size=tokenizer.vocab_size, eot=tokenizer.eot
    )
    dtype = token_dtype(tokenizer.vocab_size)
    return Manifest(
        name=name,
        version=settings.version,
        digest=digest(tokenizer.sha256, settings.seq_len, list(shard_hashes)),
        sources=list(settings.sources),
        settings=asdict(settings.only()),
        tokenizer=entry,
        seq_len=settings.seq_len,
        dtype=dtype.str,
        record_bytes=record_bytes(settings.seq_len, dtype, masked),
        documents=tally.documents,
        bytes=tally.bytes,
        splits={split: splits[split] for split in SPLITS},
        dropped=dict(sorted(tally.dropped.items())),
        boundaries={
            "seed": boundaries.seed,
            "ends": {split: format(boundaries.ends[split], "x") for split in HELD_OUT},
            "repositories": {
                split: sorted(names[repo] for repo, its in boundaries.members.items() if its == split and repo in names)
                for split in HELD_OUT
            },
            "exceptions": sorted(names[repo] for repo in boundaries.exceptions if repo in names),
        },
    )


def publish(folder: Path, manifest: Manifest, tally: Tally, masked: bool) -> None:
    """Writes the list of what was contaminated, TFDS's metadata, and the manifest last."""
    rows = sorted(tally.contaminated)
    write_objects(folder / CONTAMINATED, ({"document": document, "problem": problem} for document, problem in rows))
    write_metadata(folder, manifest, masked)
    write_manifest(folder, manifest)


def refuse_empty(kept: int, problems: int, tally: Tally, settings: Settings) -> None:
    """InputError where nothing was kept, or where files and problems are mixed."""
    if not kept:
        reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(tally.dropped.items())) or "nothing"
        raise InputError(
            f"no usable file in {' '.join(settings.sources)}: {tally.documents} read, left out by reason: {reasons}"
        )
    if 0 < problems < kept:
        raise InputError("plain files and problems cannot be mixed: build a data set of each")


def clear(folder: Path) -> None:
    """Removes a folder of intermediate files, or what is left of one."""
    shutil.rmtree(folder, ignore_errors=True)
