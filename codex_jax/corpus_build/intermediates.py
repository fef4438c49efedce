"""What stages leave on disk for the next: texts and tokens, each with an index of fixed-size rows.

A file of a stage is there whole or not at all, and its card (JSON with a fingerprint) is written last: a build that was
killed finds what is done by the cards and makes the rest.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from codex_jax.corpus_build.filtering import Dropped, Kept
from codex_jax.text.dedupe import BANDS

# 58 bytes a document; its bands lie in a file of their own, one band after the other.
ROW = np.dtype(
    [
        ("key_high", "<u8"),
        ("key_low", "<u8"),
        ("content_high", "<u8"),
        ("content_low", "<u8"),
        ("repo", "<u8"),
        ("offset", "<u8"),  # of prompt and text in the texts' file
        ("prompt", "<u4"),  # bytes
        ("text", "<u4"),  # bytes
        ("source", "<u2"),
    ]
)
# 50 bytes a tokenized document, in ascending order of keys.
TOKEN_ROW = np.dtype(
    [
        ("key_high", "<u8"),
        ("key_low", "<u8"),
        ("repo", "<u8"),
        ("offset", "<u8"),  # in tokens
        ("prompt", "<u4"),  # tokens
        ("text", "<u4"),  # tokens
        ("bytes", "<u4"),
        ("source", "<u2"),
        ("chunk", "<u4"),
    ]
)
Marker = dict[str, Any]


def fingerprint(*parts: Any) -> str:
    """32 hexadecimal digits of what a file was made from; arrays count with their bytes."""
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(part.tobytes() if isinstance(part, np.ndarray) else json.dumps(part).encode())
        digest.update(b"\0")
    return digest.hexdigest()


def read_marker(path: Path, wanted: str) -> Marker | None:
    """The card, or None where it is missing, cut short or made from something else than `wanted` stamps."""
    try:
        card = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return card if isinstance(card, dict) and card.get("stamp") == wanted else None


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file that is renamed to path when all of it is written; nothing is left of it otherwise."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_marker(path: Path, card: Marker) -> Marker:
    """Writes it, synced; returns it."""
    with whole(path) as file:
        file.write(json.dumps(card).encode())
        file.flush()
        os.fsync(file.fileno())
    return card


def write_texts(stem: Path, examined: Iterable[Kept | Dropped], made_from: str) -> Marker:
    """Writes STEM.texts, .rows and .bands, and returns the card: what was read, kept and dropped, and repositories."""
    rows, sketches = bytearray(), bytearray()
    dropped: Counter[str] = Counter()
    listed: list[tuple[str, str]] = []
    repos: dict[int, str] = {}
    documents = size = problems = offset = 0
    with whole(stem.with_suffix(".texts")) as file:
        for one in examined:
            documents += 1
            if isinstance(one, Dropped):
                dropped[one.reason] += 1
                size += one.size
                if one.detail:
                    listed.append((one.id, one.detail))
                continue
            document = one.document
            prompt, text = document.prompt.encode(), document.text.encode()
            file.write(prompt + text)
            keys = (one.key[:8], one.key[8:], one.content[:8], one.content[8:])
            numbers = (int.from_bytes(part) for part in keys)
            rows += np.array([(*numbers, one.repo, offset, len(prompt), len(text), one.source)], ROW).tobytes()
            sketches += one.bands.tobytes()
            repos[one.repo] = document.repo
            offset += len(prompt) + len(text)
            problems += bool(prompt)
    with whole(stem.with_suffix(".bands")) as file:
        file.write(np.frombuffer(sketches, np.uint64).reshape(-1, BANDS).T.tobytes())
    with whole(stem.with_suffix(".rows")) as file:
        file.write(rows)
    counts = {"documents": documents, "kept": len(rows) // ROW.itemsize, "bytes": size + offset, "problems": problems}
    names = {format(repo, "x"): name for repo, name in repos.items()}
    card = {"stamp": made_from, **counts, "dropped": dropped, "contaminated": listed, "repos": names}
    return write_marker(stem.with_suffix(".json"), card)


def read_rows(stem: Path) -> np.ndarray:
    """ROW [N] of a texts' file."""
    return np.fromfile(stem.with_suffix(".rows"), ROW)


def read_band(stem: Path, band: int, count: int) -> np.ndarray:
    """uint64 [count]: one value of every document's sketch."""
    return np.fromfile(stem.with_suffix(".bands"), np.uint64, count, offset=8 * band * count)


def read_text(file: BinaryIO, row: np.void) -> tuple[str, str]:
    """(prompt, text) of a row, from the open texts' file."""
    data = os.pread(file.fileno(), int(row["prompt"]) + int(row["text"]), int(row["offset"]))
    return data[: row["prompt"]].decode(), data[row["prompt"] :].decode()
