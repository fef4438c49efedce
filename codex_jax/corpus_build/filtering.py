"""Filters, decontaminates and sketches one document."""

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
    """The settings, the optional filters, and the index of texts that must not be in the corpus."""

    settings: Settings
    optional_filters: tuple[filters.Filter, ...]
    protected: ContaminationIndex


@dataclass(frozen=True)
class Accepted:
    """A document that passed. Documents are sorted by key, so the order of reading does not matter."""

    document: Document
    source: int  # index into settings.sources
    key: bytes  # 16 bytes
    content: bytes  # 16 bytes, equal for exact copies
    repo: int  # 64-bit hash of document.repo
    bands: np.ndarray  # uint64 [BANDS]; zeros if near copies are not searched for


@dataclass(frozen=True)
class Dropped:
    """A document that did not pass."""

    id: str
    reason: str
    size: int = 0  # bytes, if it could be read
    problem: str = ""  # the benchmark problem it contains, if that is the reason


def make_rules(settings: Settings) -> Rules:
    """The rules for these settings. InputError if a benchmark or an optional filter is missing."""
    optional: list[filters.Filter] = []
    if settings.require_parse:
        optional.append(filters.does_not_parse)
    if settings.licenses:
        optional.append(filters.licence_filter(settings.licenses))
    if settings.drop_secrets:
        filters.secrets_scanner()
        optional.append(filters.holds_secret)
    return Rules(settings, tuple(optional), make_index(protected_texts(settings.protect)))


def filter_document(item: Document | Rejected, source: int, rules: Rules) -> Accepted | Dropped:
    """Accepts or drops a document. Problems are not decontaminated or sketched: they resemble each other."""
    if isinstance(item, Rejected):
        return Dropped(item.id, item.reason)
    reason = filters.reason_to_drop(item, rules.optional_filters)
    size = len((item.prompt + item.text).encode("utf-8", "surrogatepass"))
    if reason:
        return Dropped(item.id, reason, size)
    content = content_hash(item)
    key = hashlib.blake2b(item.id.encode("utf-8", "surrogatepass") + b"\0" + content, digest_size=16).digest()
    sketch = np.zeros(BANDS, np.uint64)
    if not item.prompt:
        hashes = word_hashes(item.text)
        problem = rules.protected.find(hashes)
        if problem:
            return Dropped(item.id, "contaminated", size, problem)
        if rules.settings.near_dedupe:
            sketch = bands(word_shingles(hashes))
    return Accepted(item, source, key, content, repo_hash(item.repo), sketch)
