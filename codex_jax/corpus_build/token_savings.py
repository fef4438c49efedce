"""python -m codex_jax.corpus stats DIR: tokens a byte with and without runs of spaces as tokens (paper section 3.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from rich.table import Table

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.shards import RecordDataset
from codex_jax.text.tokenizers import P50k, Tokenizer, load_tokenizer, train_sentencepiece

BATCH = 256  # records read at once


@dataclass(frozen=True)
class Args:
    """Shows how many tokens a finished corpus takes with and without tokens for runs of spaces.

    Codex's p50k is GPT-3's vocabulary and 24 runs; a SentencePiece vocabulary is trained both ways on the first half
    of the sample, and all are measured on the second.
    """

    folder: tyro.conf.Positional[Path]  # DIR/NAME or DIR/NAME/VERSION
    split: str = "train"  # whose text is measured
    sample_bytes: int = 8_000_000  # of text
    vocab: int = 8192  # of the two SentencePiece vocabularies


def texts(data: RecordDataset, split: str, tokenizer: Tokenizer) -> Iterator[str]:
    """A split's documents, decoded: records overlap by a token, and end-of-text stands around every document."""
    eot, size = tokenizer.eot, data.size(split)
    held: list[np.ndarray] = []
    for start in range(0, size, BATCH):
        rows = data.records(split, np.arange(start, min(start + BATCH, size)))["tokens"]
        pieces = np.split(rows[:, 1:].reshape(-1), np.flatnonzero(rows[:, 1:].reshape(-1) == eot))
        held.append(pieces[0])
        for piece in pieces[1:]:
            tokens = np.concatenate(held)
            if len(tokens):
                yield tokenizer.decode(tokens.tolist())
            held = [piece[1:]]
    tokens = np.concatenate(held) if held else np.empty(0, np.int32)
    if len(tokens):
        yield tokenizer.decode(tokens.tolist())


def sample(data: RecordDataset, split: str, size: int) -> list[str]:
    """The first documents of a split, up to so many bytes; InputError where there are fewer than two."""
    found: list[str] = []
    left = size
    for text in texts(data, split, load_tokenizer(str(data.tokenizer_dir))):
        if left <= 0:
            break
        found.append(text)
        left -= len(text.encode())
    if len(found) < 2:
        raise InputError(f"{data.folder} has too little text in split {split!r} to measure")
    return found


def main(args: Args) -> None:
    """The command."""
    data = open_dataset(args.folder)
    if not isinstance(data, RecordDataset):
        raise InputError(f"{args.folder} is a mixture: name one data set")
    data.check(args.split)
    found = sample(data, args.split, args.sample_bytes)
    half = len(found) // 2
    learnt, measured = found[:half], found[half:]
    size = sum(len(text.encode()) for text in measured)
    rows: list[tuple[str, list[Tokenizer]]] = [
        ("p50k", [P50k(space_runs=False), P50k()]),
        (
            f"SentencePiece, {args.vocab:,}",
            [train_sentencepiece(learnt, args.vocab, space_runs=runs) for runs in (False, True)],
        ),
    ]
    table = Table(title=f"{data.manifest['name']} {args.split}: tokens a byte, on {size:,} bytes")
    for column in ("tokenizer", "without runs of spaces", "with them", "fewer tokens"):
        table.add_column(column, justify="left" if column == "tokenizer" else "right")
    with terminal.progress("measure", 4) as report:
        for name, pair in rows:
            counts = []
            for tokenizer in pair:
                counts.append(sum(len(tokenizer.encode(text)) for text in measured))
                report(1)
            without, given = counts
            table.add_row(name, f"{without / size:.3f}", f"{given / size:.3f}", f"{1 - given / without:.1%}")
    terminal.tables().print(table)
