"""python -m codex_jax.corpus SOURCE... --out DIR/NAME --tokenizer SPEC: source files to sharded TFRecords."""

import hashlib
import re
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console
from rich.table import Table

from codex_jax import cli, terminal
from codex_jax.errors import InputError
from codex_jax.records.manifest import Manifest, Split, TokenizerEntry, digest, write_manifest
from codex_jax.records.metadata import write_metadata
from codex_jax.records.writer import Record, record_bytes, shard_name, token_dtype, write_shard
from codex_jax.text.dedupe import content_hash
from codex_jax.text.document import Document
from codex_jax.text.filters import reason_to_drop
from codex_jax.text.packing import fits, pack_stream, pack_whole
from codex_jax.text.sources import read_source
from codex_jax.text.split import split_by_repository
from codex_jax.text.tokenizers import Tokenizer, load_tokenizer, train_sentencepiece

Tokens = tuple[list[int], list[int]]  # of the prompt, of the text


@dataclass(frozen=True)
class Args:
    """Filters, splits, tokenises and packs source files."""

    sources: tyro.conf.Positional[tuple[str, ...]]  # stdlib, dir:PATH, problems:FILE.jsonl
    out: Path  # DIR/NAME of the data set
    tokenizer: str  # p50k, PATH.model, a tokenizer folder, or train:VOCAB
    seq_len: int = 2048  # tokens a record predicts
    workers: int = 2  # processes
    shards: int = 1  # files a split
    version: str = "1.0.0"
    seed: int = 0  # of the split


def collect(args: Args) -> tuple[list[Document], Counter[str], int, int]:
    """(documents kept, dropped by reason, documents read, bytes read)."""
    kept: list[Document] = []
    dropped: Counter[str] = Counter()
    seen: set[bytes] = set()
    read = size = 0
    for spec in args.sources:
        for document in read_source(spec):
            read += 1
            if document is None:
                dropped["not_decodable"] += 1
                continue
            size += len(document.text.encode("utf-8", "surrogatepass"))
            reason = reason_to_drop(document)
            if not reason:
                key = content_hash(document)
                reason = "duplicate" if key in seen else ""
                seen.add(key)
            if reason:
                dropped[reason] += 1
            else:
                kept.append(document)
    if not kept:
        raise InputError(f"no usable file in {' '.join(args.sources)}: {read} read, dropped {dict(dropped)}")
    if len({bool(document.prompt) for document in kept}) > 1:
        raise InputError("plain files and problems cannot be mixed: build a data set of each")
    return kept, dropped, read, size


def _order(document: Document) -> bytes:
    return hashlib.blake2b(document.id.encode("utf-8", "surrogatepass"), digest_size=16).digest()


_tokenizer: Tokenizer | None = None


def _start_worker(folder: str) -> None:
    # A worker process loads the tokenizer once; it cannot be handed one a document.
    global _tokenizer  # noqa: PLW0603
    _tokenizer = load_tokenizer(folder)


def _tokenize(document: Document) -> Tokens:
    assert _tokenizer is not None
    return _tokenizer.encode(document.prompt), _tokenizer.encode(document.text)


def write_split(
    folder: Path, args: Args, split: str, documents: list[tuple[Document, Tokens]], tokenizer: Tokenizer
) -> tuple[Split, list[str]]:
    """Writes a split's shards -> (its entry in the manifest, the shards' SHA-256). Shards go by document hash."""
    counts, hashes = [], []
    for shard in range(args.shards):
        mine = [pair for pair in documents if int.from_bytes(_order(pair[0])[:8]) % args.shards == shard]
        records: Iterator[Record]
        if mine and mine[0][0].prompt:
            whole = pack_whole((tokens for _, tokens in mine), args.seq_len, tokenizer.eot)
            records = ({"tokens": tokens, "loss_mask": mask} for tokens, mask in whole)
        else:
            stream = pack_stream((text for _, (_, text) in mine), args.seq_len, tokenizer.eot)
            records = ({"tokens": tokens} for tokens in stream)
        path = folder / shard_name(args.out.name, split, shard, args.shards)
        count, sha256 = write_shard(path, records, token_dtype(tokenizer.vocab_size))
        counts.append(count)
        hashes.append(sha256)
    entry = Split(
        records=sum(counts),
        shards=counts,
        documents=len(documents),
        tokens=sum(len(prompt) + len(text) + 1 for _, (prompt, text) in documents),
        bytes=sum(len((document.prompt + document.text).encode()) for document, _ in documents),
    )
    return entry, hashes


def build(args: Args, folder: Path) -> Manifest:
    """Writes the data set into folder and returns its manifest, which is written last."""
    documents, dropped, read, size = collect(args)
    sizes: Counter[str] = Counter()
    for document in documents:
        sizes[document.repo] += len(document.text)
    splits = split_by_repository(sizes, args.seed)
    documents.sort(key=_order)
    kind, _, vocab = args.tokenizer.partition(":")
    if kind == "train":
        if not vocab.isdigit():
            raise InputError(f"--tokenizer {args.tokenizer}: give train:VOCAB, such as train:1024")
        texts = (document.text for document in documents if splits[document.repo] == "train")
        tokenizer: Tokenizer = train_sentencepiece(texts, int(vocab))
    else:
        tokenizer = load_tokenizer(args.tokenizer)
    tokenizer.save(folder / "tokenizer")

    pairs: list[tuple[Document, Tokens]] = []
    pool = ProcessPoolExecutor(args.workers, initializer=_start_worker, initargs=(str(folder / "tokenizer"),))
    with pool, terminal.progress("tokenize", len(documents)) as report:
        for document, tokens in zip(documents, pool.map(_tokenize, documents, chunksize=16), strict=True):
            report(1)
            if document.prompt and not fits(*tokens, args.seq_len):
                dropped["longer_than_record"] += 1
            else:
                pairs.append((document, tokens))
    if not pairs:
        raise InputError(f"no problem fits a record of {args.seq_len} tokens: raise --seq-len")
    entries: dict[str, Split] = {}
    hashes: list[str] = []
    for split in ("train", "validation", "test"):
        mine = [pair for pair in pairs if splits[pair[0].repo] == split]
        entries[split], made = write_split(folder, args, split, mine, tokenizer)
        hashes += made
    dtype, masked = token_dtype(tokenizer.vocab_size), bool(pairs[0][0].prompt)
    manifest = Manifest(
        name=args.out.name,
        version=args.version,
        digest=digest(tokenizer.sha256, args.seq_len, hashes),
        sources=list(args.sources),
        tokenizer=TokenizerEntry(
            kind=tokenizer.kind, sha256=tokenizer.sha256, vocab_size=tokenizer.vocab_size, eot=tokenizer.eot
        ),
        seq_len=args.seq_len,
        dtype=dtype.str,
        record_bytes=record_bytes(args.seq_len, dtype, masked),
        documents=read,
        bytes=size,
        splits=entries,
        dropped=dict(sorted(dropped.items())),
    )
    write_metadata(folder, manifest, masked)
    write_manifest(folder, manifest)
    return manifest


def show(manifest: Manifest, seconds: float) -> None:
    """The table at the end."""
    table = Table(title=f"{manifest['name']} {manifest['version']}: {manifest['documents']} documents read")
    for column in ("split", "documents", "bytes", "tokens", "tokens/byte", "records"):
        table.add_column(column, justify="left" if column == "split" else "right")
    for name, split in manifest["splits"].items():
        share = split["tokens"] / max(split["bytes"], 1)
        numbers = [f"{number:,}" for number in (split["documents"], split["bytes"], split["tokens"])]
        table.add_row(name, *numbers, f"{share:.3f}", f"{split['records']:,}")
    Console().print(table)
    reasons = ", ".join(f"{reason} {count}" for reason, count in manifest["dropped"].items()) or "none"
    print(f"dropped: {reasons}\ndigest {manifest['digest']}  {seconds:.0f} s")


def main(args: Args) -> None:
    """The command."""
    began = time.monotonic()
    if not args.sources:
        raise InputError("name a source, such as stdlib or dir:PATH")
    for name in ("seq_len", "workers", "shards"):
        if getattr(args, name) < 1:
            raise InputError(f"--{name.replace('_', '-')} must be at least 1, not {getattr(args, name)}")
    if not re.fullmatch(r"[A-Za-z]\w*", args.out.name) or not re.fullmatch(r"\d+\.\d+\.\d+", args.version):
        raise InputError(f"{args.out.name} {args.version}: a name is letters, digits and _, a version like 1.0.0")
    final, staging = args.out / args.version, args.out / f".{args.version}.incomplete"
    if final.exists():
        raise InputError(f"{final} is there already: choose another --out or --version, or remove it")
    try:
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(parents=True)
        manifest = build(args, staging)
        staging.rename(final)
    except OSError as error:
        raise InputError(f"cannot write {args.out}: {error}") from None
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    show(manifest, time.monotonic() - began)


if __name__ == "__main__":
    sys.exit(cli.run(main, Args))
