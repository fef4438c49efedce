"""python -m codex_jax.corpus stats DIR: tokens per byte with and without tokens for runs of spaces (section 3.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

from codex_jax import terminal
from codex_jax.errors import InputError
from codex_jax.records.dataset import open_dataset
from codex_jax.records.shards import RecordDataset
from codex_jax.text.tokenizers import P50k, Tokenizer, load_tokenizer, train_sentencepiece

BATCH = 256  # records read at once


@dataclass(frozen=True)
class Args:
    """Shows how many tokens a finished corpus takes with and without tokens for runs of spaces.

    p50k is GPT-3's vocabulary plus 24 runs of spaces. SentencePiece is trained with and without such tokens on the
    first half of the sample. All tokenizers are measured on the second half.
    """

    folder: tyro.conf.Positional[Path]  # DIR/NAME or DIR/NAME/VERSION
    split: str = "train"  # the split to measure
    sample_bytes: int = 8_000_000  # bytes of text to read
    vocab: int = 8192  # size of the SentencePiece vocabularies


def texts(data: RecordDataset, split: str, tokenizer: Tokenizer) -> Iterator[str]:
    """Yields the documents of a split, decoded from packed records (see text/packing.py)."""
    eot, size = tokenizer.eot, data.size(split)
    pieces: list[np.ndarray] = []  # parts of the current document

    def document() -> Iterator[str]:
        tokens = np.concatenate(pieces) if pieces else np.empty(0, np.int32)
        if len(tokens):
            yield tokenizer.decode(tokens.tolist())

    for start in range(0, size, BATCH):
        records = data.records(split, np.arange(start, min(start + BATCH, size)))["tokens"]
        tokens = records[:, 1:].reshape(-1)  # records overlap by one token
        first, *rest = np.split(tokens, np.flatnonzero(tokens == eot))
        pieces.append(first)
        for piece in rest:
            yield from document()
            pieces = [piece[1:]]
    yield from document()


def sample(data: RecordDataset, split: str, size: int) -> list[str]:
    """The first documents of a split, about `size` bytes in total. InputError if there are fewer than two."""
    documents: list[str] = []
    left = size
    for text in texts(data, split, load_tokenizer(str(data.tokenizer_dir))):
        if left <= 0:
            break
        documents.append(text)
        left -= len(text.encode())
    if len(documents) < 2:
        raise InputError(f"{data.folder} has too little text in split {split!r} to measure")
    return documents


def main(args: Args) -> None:
    """Prints the table."""
    data = open_dataset(args.folder)
    if not isinstance(data, RecordDataset):
        raise InputError(f"{args.folder} is a mixture: name one data set")
    data.check(args.split)
    documents = sample(data, args.split, args.sample_bytes)
    half = len(documents) // 2
    training, measured = documents[:half], documents[half:]
    size = sum(len(text.encode()) for text in measured)
    tokenizers: dict[str, list[Tokenizer]] = {
        "p50k": [P50k(space_runs=False), P50k()],
        f"SentencePiece, {args.vocab:,}": [
            train_sentencepiece(training, args.vocab, space_runs=runs) for runs in (False, True)
        ],
    }
    rows = [["tokenizer", "without runs of spaces", "with them", "fewer tokens"]]
    with terminal.progress("measure", 4) as report:
        for name, pair in tokenizers.items():
            counts = []
            for tokenizer in pair:
                counts.append(sum(len(tokenizer.encode(text)) for text in measured))
                report(1)
            without, with_runs = counts
            rows.append([name, f"{without / size:.3f}", f"{with_runs / size:.3f}", f"{1 - with_runs / without:.1%}"])
    terminal.show(f"{data.manifest['name']} {args.split}: tokens per byte, on {size:,} bytes", rows)
