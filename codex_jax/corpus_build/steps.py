"""The functions that tasks run: read a part of a source, compare documents, tokenize a chunk, write a shard."""

import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np

from codex_jax.corpus_build.filtering import filter_document, make_rules
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
    text_range,
    write_texts,
)
from codex_jax.corpus_build.settings import Settings
from codex_jax.corpus_build.tasks import Marker
from codex_jax.records.writer import Block, token_dtype, write_blocks
from codex_jax.sources.source import Part
from codex_jax.storage.remote_files import Folder, read_file
from codex_jax.text.dedupe import THRESHOLD, jaccard, shingles
from codex_jax.text.packing import fits, pack_stream, pack_whole
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer

RecordFormat = tuple[int, int, str, bool]  # seq_len, end-of-text, dtype of tokens, whether there is a loss mask

# A process runs many tasks of one build, so the objects that they share are cached.
_cached_rules = lru_cache(maxsize=1)(make_rules)


@lru_cache(maxsize=1)
def _cached_tokenizer(folder: Folder, sha256: str) -> Tokenizer:
    tokenizer = fetch_tokenizer(folder)
    assert tokenizer.sha256 == sha256
    return tokenizer


def fetch_tokenizer(folder: Folder) -> Tokenizer:
    """Loads a tokenizer from a folder that may be remote."""
    with tempfile.TemporaryDirectory() as copy:
        for name in folder.names():
            (Path(copy) / name).write_bytes(read_file(folder, name))
        return load_tokenizer(copy)


def read_part(work: Folder, settings: Settings, source: int, part: Part, number: int) -> Marker:
    """Writes the documents of a part that pass the filters. source, number: indices of the source and the part."""
    rules = _cached_rules(settings)
    return write_texts(work, part_name(number), (filter_document(item, source, rules) for item in part.documents()))


def compare_documents(work: Folder, start: int, count: int) -> Marker:
    """Compares a slice of the table COMPARISONS. Returns {"copies": indices of its later documents that are copies}."""
    rows = read_table(work, COMPARISONS, COMPARED, start, count)
    cached_shingles = lru_cache(maxsize=64)(shingles)  # an earlier document has several later ones in a row
    is_copy: list[bool] = []
    own = np.empty(0, np.uint64)
    texts = work.read_ranges(text_range(int(row["part"]), row) for row in rows)
    for later, text in zip(rows["later"].tolist(), texts, strict=True):
        if later:
            own = shingles(text.decode())
            is_copy.append(False)
        elif not is_copy[-1]:
            is_copy[-1] = jaccard(cached_shingles(text.decode()), own) >= THRESHOLD
    return {"copies": np.flatnonzero(is_copy).tolist()}


def tokenize_chunk(
    work: Folder, tokenizer_folder: Folder, sha256: str, seq_len: int, number: int, part: int, start: int, count: int
) -> Marker:
    """Writes the tokens of a slice of the table KEPT, and a table of TOKEN_ROW, both ordered by key.

    sha256: the tokenizer's hash; number: the chunk; part: contains all rows of the slice. Problems that do not fit into
    a record of seq_len tokens are left out.
    """
    rows = read_table(work, KEPT, ROW, start, count)
    first, last = rows[0], rows[-1]
    base = int(first["offset"])
    end = int(last["offset"]) + int(last["prompt"]) + int(last["text"])
    (texts,) = work.read_ranges([(f"{part_name(part)}.texts", base, end - base)])
    tokenizer = _cached_tokenizer(tokenizer_folder, sha256)
    dtype = token_dtype(tokenizer.vocab_size)
    out, offset, longer = bytearray(), 0, 0
    with work.write(f"{chunk_name(number)}.tokens") as file:
        for row in rows[np.lexsort((rows["key_low"], rows["key_high"]))]:
            at = int(row["offset"]) - base
            middle, stop = at + int(row["prompt"]), at + int(row["prompt"]) + int(row["text"])
            prompt, text = (tokenizer.encode(data.decode()) for data in (texts[at:middle], texts[middle:stop]))
            if prompt and not fits(len(prompt), len(text), seq_len):
                longer += 1
                continue
            file.write(np.array(prompt + text, dtype).tobytes())
            lengths = (offset, len(prompt), len(text), stop - at, row["source"], number)
            out += np.array([(row["key_high"], row["key_low"], row["repo"], *lengths)], TOKEN_ROW).tobytes()
            offset += len(prompt) + len(text)
    with work.write(f"{chunk_name(number)}.rows") as file:
        file.write(out)
    return {"longer_than_record": longer}


def write_records(work: Folder, folder: Folder, shard: str, format_: RecordFormat, start: int, count: int) -> Marker:
    """Writes a slice of the table PLAN as a shard. Returns {"records": their number, "sha256": the file's hash}."""
    rows = read_table(work, PLAN, TOKEN_ROW, start, count)
    dtype = np.dtype(format_[2])
    size = dtype.itemsize
    lengths = (rows["prompt"].astype(np.int64) + rows["text"]).tolist()
    places = zip(rows["chunk"].tolist(), rows["offset"].tolist(), lengths, strict=True)
    ranges = ((f"{chunk_name(chunk)}.tokens", offset * size, length * size) for chunk, offset, length in places)
    documents = (np.frombuffer(data, dtype) for data in work.read_ranges(ranges))
    pairs = ((tokens[:prompt], tokens[prompt:]) for tokens, prompt in zip(documents, rows["prompt"], strict=True))
    with folder.write(shard) as file:
        records, sha256 = write_blocks(file, blocks(pairs, format_), dtype)
    return {"records": records, "sha256": sha256}


def blocks(pairs: Iterator[tuple[np.ndarray, np.ndarray]], format_: RecordFormat) -> Iterator[Block]:
    """(prompt, text) tokens -> blocks of records for write_blocks."""
    seq_len, eot, _, masked = format_
    if masked:
        for tokens, mask in pack_whole(pairs, seq_len, eot):
            yield {"tokens": tokens, "loss_mask": mask}
    else:
        for tokens in pack_stream((text for _, text in pairs), seq_len, eot):
            yield {"tokens": tokens}
