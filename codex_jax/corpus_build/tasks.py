"""What one worker process does: a part of a source, a chunk of texts, a shard. Each looks first if it is done."""

import signal
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import numpy as np

from codex_jax.corpus_build.filtering import Rules, examine, make_rules
from codex_jax.corpus_build.intermediates import (
    TOKEN_ROW,
    Marker,
    fingerprint,
    read_marker,
    read_text,
    whole,
    write_marker,
    write_texts,
)
from codex_jax.corpus_build.settings import Settings
from codex_jax.records.writer import Block, token_dtype, write_shard
from codex_jax.sources.source import Part
from codex_jax.text.dedupe import THRESHOLD, jaccard, shingles
from codex_jax.text.packing import fits, pack_stream, pack_whole
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer

Layout = tuple[int, int, str, bool]  # seq_len, end-of-text, dtype of tokens, whether there is a loss mask

# A process takes many tasks of one build: what they share is made once.
_rules = lru_cache(maxsize=1)(make_rules)


@lru_cache(maxsize=1)
def _tokenizer(folder: Path, sha256: str) -> Tokenizer:
    made = load_tokenizer(str(folder))
    assert made.sha256 == sha256
    return made


def die_by_interrupt() -> None:
    """So that Ctrl-C ends a worker without a word: the command has one to say for all."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])


def read_part(settings: Settings, source: int, part: Part, stem: Path, made_from: str) -> Marker:
    """Stage 1: a part's documents that pass, as texts at STEM."""
    done = read_marker(stem.with_suffix(".json"), made_from)
    if done:
        return done
    rules: Rules = _rules(settings)
    return write_texts(stem, (examine(item, source, rules) for item in part.documents()), made_from)


def verify_pairs(stems: Mapping[int, Path], files: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """int [P, 2] files and ROW [P, 2], in the order of the first -> bool [P]: whether they are near copies."""
    opened = {file: stem.with_suffix(".texts").open("rb") for file, stem in stems.items()}
    out = np.empty(len(rows), bool)
    first, latest = np.empty(0, np.uint64), (-1, -1)
    try:
        for pair in range(len(rows)):
            place = (int(files[pair, 0]), int(rows[pair, 0]["offset"]))
            if place != latest:
                first, latest = shingles(read_text(opened[place[0]], rows[pair, 0])[1]), place
            second = shingles(read_text(opened[int(files[pair, 1])], rows[pair, 1])[1])
            out[pair] = jaccard(first, second) >= THRESHOLD
    finally:
        for file in opened.values():
            file.close()
    return out


def tokenize_rows(stem: Path, rows: np.ndarray, chunk: Path, folder: Path, sha256: str, seq_len: int) -> Marker:
    """Stage 3: texts of ROW [N] -> CHUNK.tokens and CHUNK.rows, in the order of keys.

    A problem that a record of seq_len cannot hold is left out.
    """
    made_from = fingerprint(sha256, seq_len, str(stem), rows)
    done = read_marker(chunk.with_suffix(".json"), made_from)
    if done:
        return done
    tokenizer = _tokenizer(folder, sha256)
    dtype = token_dtype(tokenizer.vocab_size)
    out, offset, longer = bytearray(), 0, 0
    with stem.with_suffix(".texts").open("rb") as texts, whole(chunk.with_suffix(".tokens")) as file:
        for row in rows[np.lexsort((rows["key_low"], rows["key_high"]))]:
            prompt, text = map(tokenizer.encode, read_text(texts, row))
            if prompt and not fits(len(prompt), len(text), seq_len):
                longer += 1
                continue
            file.write(np.array(prompt + text, dtype).tobytes())
            size = int(row["prompt"]) + int(row["text"])
            lengths = (offset, len(prompt), len(text), size, row["source"], 0)
            out += np.array([(row["key_high"], row["key_low"], row["repo"], *lengths)], TOKEN_ROW).tobytes()
            offset += len(prompt) + len(text)
    with whole(chunk.with_suffix(".rows")) as file:
        file.write(out)
    return write_marker(chunk.with_suffix(".json"), {"stamp": made_from, "longer_than_record": longer})


def write_rows(path: Path, rows: np.ndarray, work: Path, layout: Layout, sha256: str) -> Marker:
    """Stage 4: TOKEN_ROW [N] in the order of the shard -> the shard, and its records and SHA-256."""
    card = work / (path.name + ".json")
    made_from = fingerprint(sha256, layout, rows)
    done = read_marker(card, made_from)
    if done and path.is_file():
        return done
    dtype = np.dtype(layout[2])

    def tokens(row: np.void) -> tuple[np.ndarray, np.ndarray]:
        # Read, not mapped: pages of a map would count as memory of this process.
        file, prompt = work / f"tokens-{row['chunk']:06d}.tokens", int(row["prompt"])
        found = np.fromfile(file, dtype, prompt + int(row["text"]), offset=int(row["offset"]) * dtype.itemsize)
        return found[:prompt], found[prompt:]

    count, digest = write_shard(path, blocks(map(tokens, rows), layout), dtype)
    return write_marker(card, {"stamp": made_from, "records": count, "sha256": digest})


def blocks(pairs: Iterator[tuple[np.ndarray, np.ndarray]], layout: Layout) -> Iterator[Block]:
    """(prompt, text) tokens -> blocks of records for write_shard."""
    seq_len, eot, _, masked = layout
    if masked:
        for tokens, mask in pack_whole(pairs, seq_len, eot):
            yield {"tokens": tokens, "loss_mask": mask}
    else:
        for tokens in pack_stream((text for _, text in pairs), seq_len, eot):
            yield {"tokens": tokens}
