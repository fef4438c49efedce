"""The phases of a build: read, deduplicate, tokenizer, tokenize, plan, write.

For each phase, this process sorts the tables of all documents and makes tasks, which an executor runs. All state is in
files (intermediates.py), so any executor can resume a killed build. The work folder takes about 1.5 times the size of
the sources' text. docs/corpus.md gives the memory per document.
"""

import tempfile
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from codex_jax import terminal
from codex_jax.corpus_build import publish, steps
from codex_jax.corpus_build.duplicates import comparisons, first_copies, group_starts
from codex_jax.corpus_build.executors import Executor, InterruptedBuildError
from codex_jax.corpus_build.index import DocumentIndex
from codex_jax.corpus_build.intermediates import (
    COMPARED,
    COMPARISONS,
    KEPT,
    PLAN,
    ROW,
    TOKEN_ROW,
    chunk_name,
    part_name,
    read_table,
)
from codex_jax.corpus_build.settings import Settings
from codex_jax.corpus_build.tasks import Task, fingerprint, read_marker, read_markers, write_marker
from codex_jax.errors import InputError
from codex_jax.records.manifest import Manifest, SplitEntry
from codex_jax.records.writer import shard_name, token_dtype
from codex_jax.sources.source import parts
from codex_jax.storage.remote_files import Folder, upload
from codex_jax.text.dedupe import BANDS
from codex_jax.text.splits import Boundaries, assign
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer, train_sentencepiece

CHUNK_BYTES = 8 << 20  # of text that one task tokenizes
COMPARISONS_PER_TASK = 1024


@dataclass(frozen=True)
class Build:
    """One build. Its shards are written to `folder`, its intermediate files to `folder/work`."""

    settings: Settings
    folder: Folder
    name: str  # of the data set
    executor: Executor
    earlier: Boundaries | None = None  # where the splits of an earlier version end

    @property
    def work(self) -> Folder:
        """The folder of intermediate files."""
        return self.folder / "work"

    def read(self) -> tuple[DocumentIndex, publish.Tally]:
        """Reads and filters the sources. Returns the index of the documents that passed, and counts."""
        tasks: list[Task] = []
        for source, spec in enumerate(self.settings.sources):
            for part in parts(spec):
                name = part_name(len(tasks))
                made_from = fingerprint(self.settings.for_reading(), source, part.name, part.size)
                arguments = (self.settings, source, part, len(tasks))
                tasks.append(Task(name, made_from, part.size, steps.read_part, arguments))
        counts: list[int] = []
        tally, problems = publish.Tally(0, 0, Counter(), []), 0
        try:
            for marker in self.executor.run("read", self.work, tasks):
                counts.append(marker["kept"])
                problems += marker["problems"]
                tally.documents += marker["documents"]
                tally.bytes += marker["bytes"]
                tally.dropped.update(marker["dropped"])
                tally.contaminated += [(document, problem) for document, problem in marker["contaminated"]]
        except InterruptedBuildError:
            raise
        except InputError as error:
            # Keep what was read before an error in one file.
            if not any(marker and marker["kept"] for marker in read_markers(self.work, tasks)):
                raise
            raise InterruptedBuildError(
                f"{error}: correct that and run the same command again; the parts read so far are kept"
            ) from None
        publish.check_kept(sum(counts), problems, tally, self.settings)
        rows = np.concatenate([read_table(self.work, f"{task.name}.rows", ROW) for task in tasks])
        return DocumentIndex(self.work, counts, rows), tally

    def deduplicate(self, index: DocumentIndex, tally: publish.Tally) -> np.ndarray:
        """bool [N]: the rows that are not copies."""
        keep = first_copies(index.rows)
        tally.dropped["duplicate"] = int((~keep).sum())
        if self.settings.near_dedupe and not index.rows["prompt"].any():
            copies = self._near_copies(index, keep)
            tally.dropped["near_duplicate"] = int(copies.sum())
            keep &= ~copies
        return keep

    def _near_copies(self, index: DocumentIndex, among: np.ndarray) -> np.ndarray:
        with terminal.progress("find candidates", BANDS) as report:

            def read_band(band: int) -> np.ndarray:
                report(1)
                return index.band(band)

            earlier, later = comparisons(index.rows, among, BANDS, read_band)
        starts = group_starts(later)
        # A task compares whole groups: those that start in its range of COMPARISONS_PER_TASK pairs.
        groups = np.split(starts, np.flatnonzero(np.diff(starts // COMPARISONS_PER_TASK)) + 1) if len(starts) else []
        bounds = [*(int(group[0]) for group in groups), len(later)]
        tasks: list[Task] = []
        written = 0
        with self.work.write(COMPARISONS) as table:
            for group, end in zip(groups, bounds[1:], strict=True):
                documents = np.insert(earlier[group[0] : end], group - group[0], later[group])
                rows = np.zeros(len(documents), COMPARED)
                for column in ("key_high", "offset", "text"):
                    rows[column] = index.rows[column][documents]
                rows["part"] = index.parts_of(documents)
                rows["later"][group - group[0] + np.arange(len(group))] = True
                table.write(rows.tobytes())
                name, size = f"compare-{len(tasks):06d}", int(rows["text"].sum(dtype=np.int64))
                tasks.append(Task(name, fingerprint(rows), size, steps.compare_documents, (written, len(rows))))
                written += len(rows)
        copies = np.zeros(len(index.rows), bool)
        for group, marker in zip(groups, self.executor.run("compare", self.work, tasks), strict=True):
            copies[later[group[marker["copies"]]]] = True
        self.work.delete(COMPARISONS)
        return copies

    def make_tokenizer(self, index: DocumentIndex, keep: np.ndarray) -> Tokenizer:
        """Loads the tokenizer, or trains it on repositories that will be in train."""
        folder = self.folder / "tokenizer"
        kind, _, vocab_size = self.settings.tokenizer.partition(":")
        if kind == "train":
            rows = index.training_rows(keep, self.settings.seed, self.earlier)
            made_from = fingerprint(vocab_size, index.rows["key_high"][rows])
            if read_marker(self.work, "tokenizer", made_from):
                return steps.fetch_tokenizer(folder)
            tokenizer: Tokenizer = train_sentencepiece(index.texts(rows), int(vocab_size))
        else:
            tokenizer = load_tokenizer(self.settings.tokenizer)
            made_from = tokenizer.sha256
        folder.clear()
        with tempfile.TemporaryDirectory() as local:
            tokenizer.save(Path(local))
            for path in Path(local).iterdir():
                upload(path, folder, path.name)
        write_marker(self.work, "tokenizer", made_from, {})
        return tokenizer

    def tokenize(
        self, index: DocumentIndex, keep: np.ndarray, tokenizer: Tokenizer, tally: publish.Tally
    ) -> np.ndarray:
        """Tokenizes the documents that are kept, in one file per chunk of a part's texts. Returns TOKEN_ROW [N]."""
        tasks: list[Task] = []
        written = 0
        with self.work.write(KEPT) as table:
            for part, (start, end) in enumerate(pairwise(index.starts)):
                rows = index.rows[start:end][keep[start:end]]
                cuts = np.flatnonzero(np.diff(rows["offset"] // np.uint64(CHUNK_BYTES))) + 1
                for chunk in np.split(rows, cuts) if len(rows) else []:
                    table.write(chunk.tobytes())
                    made_from = fingerprint(tokenizer.sha256, self.settings.seq_len, part, chunk)
                    size = int(chunk["text"].sum(dtype=np.int64) + chunk["prompt"].sum(dtype=np.int64))
                    place = (len(tasks), part, written, len(chunk))
                    arguments = (self.folder / "tokenizer", tokenizer.sha256, self.settings.seq_len, *place)
                    tasks.append(Task(chunk_name(len(tasks)), made_from, size, steps.tokenize_chunk, arguments))
                    written += len(chunk)
        markers = self.executor.run("tokenize", self.work, tasks)
        tally.dropped["longer_than_record"] = sum(marker["longer_than_record"] for marker in markers)
        self.work.delete(KEPT)
        rows = np.concatenate([read_table(self.work, f"{task.name}.rows", TOKEN_ROW) for task in tasks])
        if not len(rows):
            raise InputError(f"no problem fits into a record of {self.settings.seq_len} tokens: raise --seq-len")
        return rows

    def decide_boundaries(self, index: DocumentIndex, keep: np.ndarray, rows: np.ndarray) -> Boundaries:
        """Decides where the splits end. rows: TOKEN_ROW [N]."""
        repos = np.unique(index.rows["repo"][keep])  # including those whose problems are all longer than a record
        sizes = (rows["prompt"] + rows["text"] + 1).astype(np.int64)
        tokens = np.bincount(np.searchsorted(repos, rows["repo"]), sizes, len(repos)).astype(np.int64)
        return publish.decide(self.settings, repos, tokens, self.earlier)

    def plan(
        self, rows: np.ndarray, boundaries: Boundaries, tokenizer: Tokenizer
    ) -> tuple[dict[str, SplitEntry], list[tuple[str, Task]]]:
        """(the manifest's split entries, without records; (split, task) of each shard). rows: TOKEN_ROW [N]."""
        masked, dtype = bool(rows["prompt"].any()), token_dtype(tokenizer.vocab_size)
        format_: steps.RecordFormat = (self.settings.seq_len, tokenizer.eot, dtype.str, masked)
        repos, which = np.unique(rows["repo"], return_inverse=True)
        split_of_repo = assign(repos, boundaries)
        weights = np.array([self.settings.weight(number) for number in range(len(self.settings.sources))])
        splits: dict[str, SplitEntry] = {}
        tasks: list[tuple[str, Task]] = []
        written = 0
        with self.work.write(PLAN) as table:
            for split in publish.SPLITS:
                documents = rows[(split_of_repo == split)[which]]
                of_split = weights if split == "train" else np.ones(len(weights))
                times = publish.copies(documents["key_high"], of_split[documents["source"]])
                copy = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
                documents = np.repeat(documents, times)
                key = publish.key_of_copy(documents["key_high"], copy)
                documents = documents[np.lexsort((documents["key_low"], key))]
                key = np.sort(key)
                table.write(documents.view(np.uint8).data)
                tokens = int(documents["text"].sum(dtype=np.int64) + documents["prompt"].sum(dtype=np.int64))
                tokens += len(documents)
                shards = publish.shard_count(self.settings, tokens, dtype.itemsize + masked)
                edges = np.searchsorted(publish.shard_of(key, shards), np.arange(shards + 1)).tolist()
                for shard, (start, end) in enumerate(pairwise(edges)):
                    part, name = documents[start:end], shard_name(self.name, split, shard, shards)
                    size = int(part["text"].sum(dtype=np.int64)) * dtype.itemsize
                    made_from = fingerprint(tokenizer.sha256, format_, part)
                    arguments = (self.folder, name, format_, written + start, end - start)
                    tasks.append((split, Task(name, made_from, size, steps.write_records, arguments)))
                written += len(documents)
                size = int(documents["bytes"].sum(dtype=np.int64))
                splits[split] = SplitEntry(records=0, shards=[], documents=len(documents), tokens=tokens, bytes=size)
        return splits, tasks

    def write(self, splits: dict[str, SplitEntry], tasks: list[tuple[str, Task]]) -> list[str]:
        """Writes the shards and completes the split entries. Returns the SHA-256 of each shard."""
        present, shards = self.folder.names(), {task.name for _, task in tasks}
        for name in present - shards:  # left by an interrupted build, perhaps with other settings
            if name.startswith(f"{self.name}-") or name.endswith(".tmp"):
                self.folder.delete(name)
        for name in shards - present:
            self.work.delete(f"{name}.json")
        hashes = []
        markers = self.executor.run("write", self.work, [task for _, task in tasks])
        for (split, _), marker in zip(tasks, markers, strict=True):
            splits[split]["shards"].append(marker["records"])
            splits[split]["records"] += marker["records"]
            hashes.append(marker["sha256"])
        return hashes

    def run(self) -> Manifest:
        """Runs all phases, writes the manifest last, and deletes the intermediate files."""
        index, tally = self.read()
        keep = self.deduplicate(index, tally)
        tokenizer = self.make_tokenizer(index, keep)
        rows = self.tokenize(index, keep, tokenizer, tally)
        boundaries = self.decide_boundaries(index, keep, rows)
        index.rows = index.rows[:0].copy()  # frees memory: the next phases need only `rows`
        splits, tasks = self.plan(rows, boundaries, tokenizer)
        hashes = self.write(splits, tasks)
        names = index.names({*boundaries.members, *boundaries.exceptions})
        masked = bool(rows["prompt"].any())
        manifest = publish.make_manifest(
            self.name, self.settings, tokenizer, tally, splits, hashes, boundaries, names, masked
        )
        publish.publish(self.folder, manifest, tally, masked)
        self.work.clear()
        return manifest
