"""One document through filters, decontamination and sketching: the first stage of every engine."""

import hashlib
from dataclasses import dataclass

import numpy as np

from codex_jax.corpus_build.settings import Settings
from codex_jax.problems.load import protected_texts
from codex_jax.text import filters
from codex_jax.text.contamination import ContaminationIndex, make_index
from codex_jax.text.dedupe import BANDS, bands, content_hash, word_shingles
from codex_jax.text.document import Document, Rejected
from codex_jax.text.hashing import word_hashes
from codex_jax.text.splits import repo_hash


@dataclass(frozen=True)
class Rules:
    """What examine() needs: the settings, the filters they ask for, and the texts that must not be there."""

    settings: Settings
    more: tuple[filters.Filter, ...]
    protected: ContaminationIndex


@dataclass(frozen=True)
class Kept:
    """A document that passed. key orders documents the same for every engine; bands: uint64 [BANDS]."""

    document: Document
    source: int  # its place among the settings' sources
    key: bytes  # 16 bytes
    content: bytes  # 16 bytes: equal for exact copies
    repo: int  # 64-bit hash of document.repo
    bands: np.ndarray


@dataclass(frozen=True)
class Dropped:
    """One that did not; detail: the benchmark problem it holds, where that is the reason."""

    id: str
    reason: str
    size: int = 0  # bytes, where it could be read
    detail: str = ""


def make_rules(settings: Settings) -> Rules:
    """InputError where a benchmark or an optional filter is not there."""
    more: list[filters.Filter] = []
    if settings.require_parse:
        more.append(filters.does_not_parse)
    if settings.licenses:
        more.append(filters.licence_filter(settings.licenses))
    if settings.drop_secrets:
        filters.secrets_scanner()
        more.append(filters.holds_secret)
    return Rules(settings, tuple(more), make_index(protected_texts(settings.protect)))


def examine(item: Document | Rejected, source: int, rules: Rules) -> Kept | Dropped:
    """The verdict on a document. Problems (with a prompt) only have to have a solution: they resemble each other."""
    if isinstance(item, Rejected):
        return Dropped(item.id, item.reason)
    reason = filters.reason_to_drop(item, rules.more)
    size = len((item.prompt + item.text).encode("utf-8", "surrogatepass"))
    if reason:
        return Dropped(item.id, reason, size)
    content = content_hash(item)
    key = hashlib.blake2b(item.id.encode("utf-8", "surrogatepass") + b"\0" + content, digest_size=16).digest()
    sketch = np.zeros(BANDS, np.uint64)
    if not item.prompt:
        hashes = word_hashes(item.text)
        held = rules.protected.find(hashes)
        if held:
            return Dropped(item.id, "contaminated", size, held)
        if rules.settings.near_dedupe:
            sketch = bands(word_shingles(hashes))
    return Kept(item, source, key, content, repo_hash(item.repo), sketch)
