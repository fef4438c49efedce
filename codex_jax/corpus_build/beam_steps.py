"""What the Beam engine does with one element or one group of them; beam.py joins these."""

import hashlib
import io
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
from apache_beam.io.filesystems import FileSystems

from codex_jax.corpus_build import publish
from codex_jax.corpus_build.duplicates import FIRST
from codex_jax.corpus_build.filtering import Dropped, Kept, Rules, examine
from codex_jax.corpus_build.settings import Settings
from codex_jax.corpus_build.tasks import Layout, blocks
from codex_jax.records.writer import shard_name, token_dtype, write_blocks
from codex_jax.sources.source import Part
from codex_jax.text.dedupe import THRESHOLD, jaccard, shingles
from codex_jax.text.packing import fits
from codex_jax.text.splits import HELD_OUT, Boundaries, assign, may_train_tokenizer
from codex_jax.text.tokenizers import TRAINING_BYTES, Tokenizer, load_tokenizer, train_sentencepiece


@dataclass(frozen=True)
class Tokenized:
    """A document's tokens, as bytes of the records' dtype."""

    key: bytes
    repo: int
    source: int
    size: int  # bytes of text
    tokens: int  # with the end-of-text
    prompt: bytes
    text: bytes


def read(numbered: tuple[int, Part], rules: Rules) -> Iterator[Any]:
    """(source, part) -> Kept, and Dropped under the tag "dropped"."""
    source, part = numbered
    for item in part.documents():
        one = examine(item, source, rules)
        yield one if isinstance(one, Kept) else beam.pvalue.TaggedOutput("dropped", one)


def size_of(one: Kept) -> tuple[int, int, int, int]:
    """(documents, bytes, documents kept, problems) of a document."""
    document = one.document
    return 1, len((document.prompt + document.text).encode()), 1, int(bool(document.prompt))


def first(ones: Iterable[Kept]) -> Kept:
    """The first by key."""
    return min(ones, key=lambda one: one.key)


def bands_of(one: Kept) -> Iterator[tuple[tuple[int, bytes], bytes]]:
    """((band, its value), key) of a document; problems resemble each other and are not compared."""
    if not one.document.prompt:
        yield from (((band, value.tobytes()), one.key) for band, value in enumerate(one.bands))


def propose(group: tuple[Any, Iterable[bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """Keys that share a band's value -> (earlier, later) pairs: each with the FIRST first."""
    keys = sorted(group[1])
    for place, later in enumerate(keys):
        for earlier in keys[: min(place, FIRST)]:
            yield earlier, later


def send_shingles(joined: tuple[bytes, dict[str, list[Any]]]) -> Iterator[tuple[bytes, np.ndarray]]:
    """An earlier document and the later ones it may be like -> (later key, the earlier one's shingles)."""
    for one in joined[1]["document"]:
        if joined[1]["other"]:
            mine = shingles(one.document.text)
            for later in joined[1]["other"]:
                yield later, mine


def keep_unlike(joined: tuple[bytes, dict[str, list[Any]]]) -> Iterator[Any]:
    """A document, unless it is a near copy of one whose shingles have come."""
    for one in joined[1]["document"]:
        others = list(joined[1]["other"])
        mine = shingles(one.document.text) if others else None
        if mine is not None and any(jaccard(other, mine) >= THRESHOLD for other in others):
            yield beam.pvalue.TaggedOutput("dropped", Dropped(one.document.id, "near_duplicate"))
        else:
            yield one


class SmallestTexts(beam.CombineFn):
    """The texts of the smallest keys, up to twice what a tokenizer is trained on."""

    def create_accumulator(self) -> list[tuple[bytes, str]]:
        """Nothing yet."""
        return []

    def add_input(self, held: list[tuple[bytes, str]], one: tuple[bytes, str]) -> list[tuple[bytes, str]]:
        """One more; the list is pruned now and then."""
        held.append(one)
        return self._prune(held) if len(held) % 1000 == 0 else held

    def merge_accumulators(self, accumulators: Iterable[list[tuple[bytes, str]]]) -> list[tuple[bytes, str]]:
        """All of them, pruned."""
        return self._prune([one for held in accumulators for one in held])

    def extract_output(self, held: list[tuple[bytes, str]]) -> list[str]:
        """The texts in the order of their keys."""
        return [text for _, text in self._prune(held)]

    @staticmethod
    def _prune(held: list[tuple[bytes, str]]) -> list[tuple[bytes, str]]:
        held.sort()
        size = 0
        for place, (_, text) in enumerate(held):
            if size >= 2 * TRAINING_BYTES:
                return held[:place]
            size += len(text.encode())
        return held


def pack_tokenizer(tokenizer: Tokenizer) -> dict[str, bytes]:
    """The files of its folder."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def unpack_tokenizer(files: dict[str, bytes]) -> Tokenizer:
    """The tokenizer of pack_tokenizer."""
    with tempfile.TemporaryDirectory() as folder:
        for name, data in files.items():
            (Path(folder) / name).write_bytes(data)
        return load_tokenizer(folder)


class Tokenize(beam.DoFn):
    """Kept -> Tokenized; problems longer than a record go to "dropped"."""

    def __init__(self, seq_len: int) -> None:
        """seq_len: tokens a record predicts."""
        self.seq_len = seq_len
        self.files: dict[str, bytes] = {}
        self.tokenizer: Tokenizer

    def process(self, one: Kept, files: dict[str, bytes]) -> Iterator[Any]:
        """See the class."""
        if files != self.files:
            self.files, self.tokenizer = files, unpack_tokenizer(files)
        document, dtype = one.document, token_dtype(self.tokenizer.vocab_size)
        prompt, text = self.tokenizer.encode(document.prompt), self.tokenizer.encode(document.text)
        if document.prompt and not fits(len(prompt), len(text), self.seq_len):
            yield beam.pvalue.TaggedOutput("dropped", Dropped(document.id, "longer_than_record"))
            return
        size = len((document.prompt + document.text).encode())
        arrays = (np.array(prompt, dtype).tobytes(), np.array(text, dtype).tobytes())
        yield Tokenized(one.key, one.repo, one.source, size, len(prompt) + len(text) + 1, *arrays)


def trainable(repos: list[bytes], seed: int, earlier: Boundaries | None) -> frozenset[int]:
    """The repositories that a tokenizer may be trained on. repos: of all documents."""
    every = np.sort(hashes(repos))
    return frozenset(every[may_train_tokenizer(every, seed, earlier)].tolist())


def may_train(one: Kept, repos: frozenset[int]) -> Iterator[tuple[bytes, str]]:
    """A document that a tokenizer may be trained on -> (key, text)."""
    if one.repo in repos:
        yield one.key, one.document.text


def make_tokenizer(texts: list[str], spec: str) -> dict[str, bytes]:
    """The tokenizer's files, trained on these texts if spec says so."""
    kind, _, vocab = spec.partition(":")
    return pack_tokenizer(train_sentencepiece(texts, int(vocab)) if kind == "train" else load_tokenizer(spec))


def name_of(one: Kept) -> tuple[bytes, tuple[int, str]]:
    """(repository, (no tokens, its name)) of a document."""
    return one.repo.to_bytes(8), (0, one.document.repo)


def tokens_of(one: Tokenized) -> tuple[bytes, tuple[int, str]]:
    """(repository, (tokens with end-of-text, no name)) of a document."""
    return one.repo.to_bytes(8), (one.tokens, "")


def hashes(repos: Iterable[bytes]) -> np.ndarray:
    """uint64 [R] of repositories: Beam's whole numbers have a sign, so that bytes stand for hashes."""
    return np.array([int.from_bytes(repo) for repo in repos], np.uint64)


def decide(repos: list[tuple[bytes, tuple[int, str]]], settings: Settings, earlier: Boundaries | None) -> Boundaries:
    """(repository, (tokens, name)) of all -> where the splits end."""
    ordered = sorted(repos)
    tokens = np.array([count for _, (count, _) in ordered], np.int64)
    return publish.decide(settings, hashes(repo for repo, _ in ordered), tokens, earlier)


def small_repositories(repos: list[tuple[bytes, tuple[int, str]]], boundaries: Boundaries) -> dict[int, str]:
    """Repository -> test or validation, for those that are in one."""
    every = hashes(repo for repo, _ in repos)
    found = zip(every.tolist(), assign(every, boundaries).tolist(), strict=True)
    return {repo: split for repo, split in found if split in HELD_OUT}


@dataclass(frozen=True)
class Plan:
    """Where each document goes: small: repository -> test or validation; shards: by split."""

    small: dict[int, str]
    shards: dict[str, int]
    layout: Layout


def times(one: Tokenized, small: dict[int, str], settings: Settings) -> tuple[str, int]:
    """A document's split, and how often it comes there."""
    split = small.get(one.repo, "train")
    weight = settings.weight(one.source) if split == "train" else 1.0
    high = np.array([int.from_bytes(one.key[:8])], np.uint64)
    return split, int(publish.copies(high, np.array([weight]))[0])


def count(one: Tokenized, small: dict[int, str], settings: Settings) -> tuple[str, tuple[int, int, int, int]]:
    """(split, (documents, tokens, bytes, documents with a prompt))."""
    split, number = times(one, small, settings)
    return split, (number, number * one.tokens, number * one.size, int(bool(one.prompt)))


def make_plan(
    small: dict[int, str], counts: dict[str, tuple[int, int, int, int]], files: dict[str, bytes], settings: Settings
) -> Plan:
    """counts: of count(), added up by split."""
    tokenizer = unpack_tokenizer(files)
    dtype = token_dtype(tokenizer.vocab_size)
    masked = any(prompts for _, _, _, prompts in counts.values())
    shards = {}
    for split in publish.SPLITS:
        tokens = counts.get(split, (0, 0, 0, 0))[1]
        shards[split] = publish.shard_count(settings, tokens, dtype.itemsize + masked)
    return Plan(small, shards, (settings.seq_len, tokenizer.eot, dtype.str, masked))


def copies(one: Tokenized, plan: Plan, settings: Settings) -> Iterator[tuple[tuple[str, int], Any]]:
    """A document -> ((split, shard), (place, tokens)), once for each time it comes."""
    split, number = times(one, plan.small, settings)
    high = np.array([int.from_bytes(one.key[:8])], np.uint64)
    for copy in range(number):
        key = publish.key_of_copy(high, np.array([copy]))
        shard = int(publish.shard_of(key, plan.shards[split])[0])
        yield (split, shard), (int(key[0]).to_bytes(8), one.key[8:], one.prompt, one.text)


def every_shard(plan: Plan) -> list[tuple[tuple[str, int], None]]:
    """All shards, also those that no document falls into."""
    return [((split, shard), None) for split, shards in plan.shards.items() for shard in range(shards)]


def write(
    group: tuple[tuple[str, int], Iterable[Any]], plan: Plan, folder: str, name: str
) -> tuple[str, int, int, str]:
    """All documents of a shard -> the shard's file; (split, shard, records, SHA-256)."""
    (split, shard), ones = group
    documents = sorted(one for one in ones if one is not None)
    dtype = plan.layout[2]
    pairs = ((np.frombuffer(prompt, dtype), np.frombuffer(text, dtype)) for _, _, prompt, text in documents)
    path = FileSystems.join(folder, shard_name(name, split, shard, plan.shards[split]))
    data = io.BytesIO()
    records, sha256 = write_blocks(data, blocks(pairs, plan.layout), np.dtype(dtype))
    put(path, data.getbuffer())
    return split, shard, records, sha256


def put(path: str, data: Any) -> None:
    """A file that is there whole or not at all; one that is there is replaced."""
    temporary = f"{path}.{hashlib.sha256(data).hexdigest()[:12]}.tmp"
    with FileSystems.create(temporary, "application/octet-stream", compression_type="uncompressed") as file:
        file.write(data)
    if FileSystems.exists(path):
        FileSystems.delete([path])
    FileSystems.rename([temporary], [path])
