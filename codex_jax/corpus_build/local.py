"""The local engine: the stages in processes of this machine, with files between them, so that a killed build goes on.

Texts and indices (spill.py) lie in WORK until the data set is finished: about the size of the source once as text and
half of it again as tokens. Memory goes by the number of files: see the README of data/.
"""

import signal
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from codex_jax import terminal
from codex_jax.corpus_build import publish, tasks
from codex_jax.corpus_build.duplicates import first_copies, near_copies
from codex_jax.corpus_build.index import Index
from codex_jax.corpus_build.intermediates import TOKEN_ROW, Marker, fingerprint, read_marker, read_rows, write_marker
from codex_jax.corpus_build.settings import Settings
from codex_jax.errors import InputError
from codex_jax.records.manifest import Manifest, SplitEntry
from codex_jax.records.writer import shard_name, token_dtype
from codex_jax.sources.source import Part, parts
from codex_jax.text.dedupe import BANDS
from codex_jax.text.splits import Boundaries, assign
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer, train_sentencepiece

CHUNK_BYTES = 8 << 20  # of text that one task tokenizes
PAIRS = 256  # that one task verifies


Call = tuple[int, Callable[..., Any], tuple[Any, ...]]  # size in bytes, function, arguments


@contextmanager
def interrupts_held() -> Iterator[None]:
    """A process started in here gets no Ctrl-C before `tasks.die_by_interrupt`: while it imports it would print it."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class InterruptedBuildError(InputError):
    """A build that can go on where it stopped."""


class Engine:
    """One build; all of its state is in files, this object only hands tasks to processes."""

    def __init__(self, settings: Settings, folder: Path, name: str, workers: int, earlier: Boundaries | None) -> None:
        """folder: where the shards are made, with a folder `work` for what lies between the stages."""
        self.settings, self.folder, self.name, self.earlier = settings, folder, name, earlier
        self.work = folder / "work"
        self.work.mkdir(parents=True, exist_ok=True)
        # Processes are started anew, not forked: this one has threads.
        self.pool = ProcessPoolExecutor(workers, get_context("spawn"), tasks.die_by_interrupt)
        self.limit = 4 * workers

    def each(self, label: str, calls: list[Call]) -> Iterator[Any]:
        """Results of the calls in their order, with a bar in bytes."""
        with terminal.progress(label, sum(size for size, _, _ in calls), unit="bytes") as report:
            yield from self.results(calls, report)

    def results(self, calls: list[Call], report: terminal.Report) -> Iterator[Any]:
        """Results of the calls in their order; few are in flight at once. report: is told their sizes."""
        left = iter(calls)
        results: dict[int, Any] = {}
        flying: dict[Future[Any], tuple[int, int]] = {}
        started = given = 0
        while given < len(calls):
            while len(flying) < self.limit and started < len(calls) and started - given < 8 * self.limit:
                size, function, arguments = next(left)
                with interrupts_held():
                    future = self.pool.submit(function, *arguments)
                flying[future] = (started, size)
                started += 1
            done, _ = wait(flying, return_when=FIRST_COMPLETED)
            for future in done:
                number, size = flying.pop(future)
                results[number] = future.result()
                report(size)
            while given in results:
                yield results.pop(given)
                given += 1

    def read(self) -> tuple[Index, publish.Tally]:
        """Stage 1: parts of the sources to texts that passed the filters."""
        everything: list[tuple[int, Part]] = []
        for number, spec in enumerate(self.settings.sources):
            everything += [(number, part) for part in parts(spec)]
        calls, index = [], Index()
        for number, (source, part) in enumerate(everything):
            stem = self.work / f"read-{number:05d}"
            made_from = fingerprint(self.settings.of_reading(), source, part.name, part.size)
            calls.append((part.size, tasks.read_part, (self.settings, source, part, stem, made_from)))
            index.stems.append(stem)
        tally, problems = publish.Tally(0, 0, Counter(), []), 0
        for card in self._readings(calls):
            index.counts.append(card["kept"])
            problems += card["problems"]
            tally.documents += card["documents"]
            tally.bytes += card["bytes"]
            tally.dropped.update(card["dropped"])
            tally.contaminated += [(document, problem) for document, problem in card["contaminated"]]
        publish.refuse_empty(sum(index.counts), problems, tally, self.settings)
        index.rows = np.concatenate([read_rows(stem) for stem in index.stems])
        return index, tally

    def _readings(self, calls: list[Call]) -> Iterator[Marker]:
        done = 0
        try:
            for card in self.each("read", calls):
                done += card["kept"]
                yield card
        except InputError as error:
            # One damaged file must not cost what was read of the others.
            if not done:
                raise
            raise InterruptedBuildError(f"{error}; what is read is kept: give the same command again") from None

    def deduplicate(self, index: Index, tally: publish.Tally) -> np.ndarray:
        """Stage 2: bool [N], the rows that are no copies."""
        keep = first_copies(index.rows)
        tally.dropped["duplicate"] = int((~keep).sum())
        if self.settings.near_dedupe and not index.rows["prompt"].any():
            with terminal.progress("compare", BANDS) as report:

                def band(number: int) -> np.ndarray:
                    report(1)
                    return index.band(number)

                copies = near_copies(index.rows, keep, BANDS, band, lambda pairs: self.verify(index, pairs))
            tally.dropped["near_duplicate"] = int(copies.sum())
            keep &= ~copies
        tally.dropped = {reason: count for reason, count in tally.dropped.items() if count}
        return keep

    def verify(self, index: Index, pairs: np.ndarray) -> np.ndarray:
        """int64 [P, 2] -> bool [P], in the pool."""
        pairs_order = np.lexsort((pairs[:, 1], pairs[:, 0]))
        ordered = pairs[pairs_order]
        files, _ = index.place(ordered.reshape(-1))
        calls = []
        for start in range(0, len(ordered), PAIRS):
            part = files[2 * start : 2 * (start + PAIRS)].reshape(-1, 2)
            rows = index.rows[ordered[start : start + PAIRS]]
            stems = {int(file): index.stems[file] for file in np.unique(part)}
            calls.append((int(rows["text"].sum()), tasks.verify_pairs, (stems, part, rows)))
        out = np.empty(len(pairs), bool)
        out[pairs_order] = np.concatenate(list(self.results(calls, lambda *_: None)))
        return out

    def tokenizer(self, index: Index, keep: np.ndarray) -> Tokenizer:
        """The tokenizer, loaded or trained on repositories that no small split reaches."""
        folder = self.folder / "tokenizer"
        made_from = fingerprint(self.settings.tokenizer, self.settings.seed, index.rows["key_high"][keep])
        if read_marker(self.work / "tokenizer.json", made_from):
            return load_tokenizer(str(folder))
        kind, _, vocab = self.settings.tokenizer.partition(":")
        if kind == "train":
            texts = index.training_texts(keep, self.settings.seed, self.earlier)
            made: Tokenizer = train_sentencepiece(texts, int(vocab))
        else:
            made = load_tokenizer(self.settings.tokenizer)
        publish.clear(folder)
        made.save(folder)
        write_marker(self.work / "tokenizer.json", {"stamp": made_from})
        return made

    def tokenize(self, index: Index, keep: np.ndarray, tokenizer: Tokenizer, tally: publish.Tally) -> np.ndarray:
        """Stage 3: TOKEN_ROW [N] of all documents; each chunk's tokens lie in a file, in the order of their keys."""
        calls: list[Call] = []
        starts = index.starts
        for file, stem in enumerate(index.stems):
            rows = index.rows[starts[file] : starts[file + 1]][keep[starts[file] : starts[file + 1]]]
            ends = np.cumsum(rows["text"].astype(np.int64) + rows["prompt"])
            cuts = np.searchsorted(ends, np.arange(CHUNK_BYTES, int(ends[-1]) if len(ends) else 0, CHUNK_BYTES)) + 1
            for part in np.split(rows, np.unique(cuts)):
                if len(part):
                    chunk = self.work / f"tokens-{len(calls):06d}"
                    size = int(part["text"].sum()) + int(part["prompt"].sum())
                    arguments = (stem, part, chunk, self.folder / "tokenizer", tokenizer.sha256, self.settings.seq_len)
                    calls.append((size, tasks.tokenize_rows, arguments))
        longer = 0
        for card in self.each("tokenize", calls):
            longer += card["longer_than_record"]
        if longer:
            tally.dropped["longer_than_record"] = longer
        found = [np.fromfile(chunk.with_suffix(".rows"), TOKEN_ROW) for _, _, (_, _, chunk, *_) in calls]
        for number, rows in enumerate(found):
            rows["chunk"] = number
        rows = np.concatenate(found)
        if not len(rows):
            raise InputError(f"no problem fits a record of {self.settings.seq_len} tokens: raise --seq-len")
        return rows

    def write(
        self, rows: np.ndarray, boundaries: Boundaries, tokenizer: Tokenizer
    ) -> tuple[dict[str, SplitEntry], list[str]]:
        """Stage 4: the shards of all splits -> (their entries, the SHA-256 of each)."""
        masked = bool(rows["prompt"].any())
        dtype = token_dtype(tokenizer.vocab_size)
        repos, which = np.unique(rows["repo"], return_inverse=True)
        split_of = assign(repos, boundaries)[which]
        weights = np.array([self.settings.weight(number) for number in range(len(self.settings.sources))])
        calls, owners, splits = [], [], {}
        for split in publish.SPLITS:
            mine = rows[split_of == split]
            times = publish.copies(
                mine["key_high"], weights[mine["source"]] if split == "train" else np.ones(len(mine))
            )
            copy = np.arange(int(times.sum())) - np.repeat(np.cumsum(times) - times, times)
            mine = np.repeat(mine, times)
            key = publish.key_of_copy(mine["key_high"], copy)
            mine = mine[np.lexsort((mine["key_low"], key))]
            key = np.sort(key)
            tokens = int(mine["text"].sum(dtype=np.int64) + mine["prompt"].sum(dtype=np.int64)) + len(mine)
            shards = publish.shard_count(self.settings, tokens, dtype.itemsize + masked)
            edges = np.searchsorted(publish.shard_of(key, shards), np.arange(shards + 1))
            for shard in range(shards):
                part = mine[edges[shard] : edges[shard + 1]]
                path = self.folder / shard_name(self.name, split, shard, shards)
                layout = (self.settings.seq_len, tokenizer.eot, dtype.str, masked)
                size = int(part["text"].sum(dtype=np.int64)) * dtype.itemsize
                calls.append((size, tasks.write_rows, (path, part, self.work, layout, tokenizer.sha256)))
                owners.append(split)
            size = int(mine["bytes"].sum(dtype=np.int64))
            splits[split] = SplitEntry(records=0, shards=[], documents=len(mine), tokens=tokens, bytes=size)
        self.remove_strangers({arguments[0] for _, _, arguments in calls})
        hashes = []
        for split, card in zip(owners, self.each("write", calls), strict=True):
            splits[split]["shards"].append(card["records"])
            splits[split]["records"] += card["records"]
            hashes.append(card["sha256"])
        return splits, hashes

    def remove_strangers(self, shards: set[Path]) -> None:
        """What an earlier try with other settings left beside these shards."""
        for path in self.folder.iterdir():
            if path.is_file() and path not in shards:
                path.unlink()

    def run(self) -> Manifest:
        """All stages; the manifest is written last."""
        index, tally = self.read()
        keep = self.deduplicate(index, tally)
        tokenizer = self.tokenizer(index, keep)
        rows = self.tokenize(index, keep, tokenizer, tally)
        repos = np.unique(index.rows["repo"][keep])  # also those whose problems were all longer than a record
        index.rows = index.rows[:0].copy()  # all that follows goes by `rows`
        sizes = (rows["prompt"] + rows["text"] + 1).astype(np.int64)
        tokens = np.bincount(np.searchsorted(repos, rows["repo"]), sizes, len(repos)).astype(np.int64)
        boundaries = publish.decide(self.settings, repos, tokens, self.earlier)
        names = index.names({*boundaries.members, *boundaries.exceptions})
        splits, hashes = self.write(rows, boundaries, tokenizer)
        masked = bool(rows["prompt"].any())
        manifest = publish.make_manifest(
            self.name, self.settings, tokenizer, tally, splits, hashes, boundaries, names, masked
        )
        publish.publish(self.folder, manifest, tally, masked)
        return manifest


def build(settings: Settings, folder: Path, name: str, workers: int, earlier: Boundaries | None) -> Manifest:
    """Builds a data set in `folder` with so many processes; goes on with what an earlier try left there."""
    engine = Engine(settings, folder, name, workers, earlier)
    try:
        manifest = engine.run()
    except BrokenProcessPool:
        raise InterruptedBuildError(
            "a worker process was killed, perhaps for want of memory: try fewer --workers; what is done is kept"
        ) from None
    finally:
        engine.pool.shutdown(cancel_futures=True)
    publish.clear(engine.work)
    return manifest
