"""The intermediate files in the work folder: texts, tokens, and tables of fixed-size rows that describe them."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from codex_jax.corpus_build.filtering import Accepted, Dropped
from codex_jax.corpus_build.tasks import Marker
from codex_jax.storage.remote_files import Folder, Range
from codex_jax.text.dedupe import BANDS

# A document that passed the filters: 58 bytes. The MinHash bands are in a separate file, one band after the other.
ROW = np.dtype(
    [
        ("key_high", "<u8"),
        ("key_low", "<u8"),
        ("content_high", "<u8"),
        ("content_low", "<u8"),
        ("repo", "<u8"),
        ("offset", "<u8"),  # of prompt and text in the part's texts file
        ("prompt", "<u4"),  # bytes
        ("text", "<u4"),  # bytes
        ("source", "<u2"),
    ]
)
# A document that is compared with others: 25 bytes.
COMPARED = np.dtype(
    [
        ("key_high", "<u8"),
        ("offset", "<u8"),
        ("text", "<u4"),  # bytes
        ("part", "<u4"),
        ("later", "?"),  # true: this document is compared with the rows after it, up to the next true
    ]
)
# A tokenized document: 50 bytes.
TOKEN_ROW = np.dtype(
    [
        ("key_high", "<u8"),
        ("key_low", "<u8"),
        ("repo", "<u8"),
        ("offset", "<u8"),  # in tokens, in the chunk's tokens file
        ("prompt", "<u4"),  # tokens
        ("text", "<u4"),  # tokens
        ("bytes", "<u4"),
        ("source", "<u2"),
        ("chunk", "<u4"),
    ]
)
# Tables that a phase writes. Each of its tasks reads a slice.
COMPARISONS, KEPT, PLAN = "comparisons", "kept", "plan"


def part_name(part: int) -> str:
    """The NAME of a part's files: NAME.texts, NAME.rows, NAME.bands and NAME.json."""
    return f"read-{part:05d}"


def chunk_name(chunk: int) -> str:
    """The NAME of a chunk's files: NAME.tokens, NAME.rows and NAME.json."""
    return f"tokens-{chunk:06d}"


def read_table(work: Folder, name: str, dtype: np.dtype, start: int = 0, count: int | None = None) -> np.ndarray:
    """Reads `count` rows of a table from row `start` on; all remaining rows if count is None."""
    size = None if count is None else count * dtype.itemsize
    (data,) = work.read_ranges([(name, start * dtype.itemsize, size)])
    return np.frombuffer(data, dtype)


def write_texts(work: Folder, name: str, documents: Iterable[Accepted | Dropped]) -> Marker:
    """Writes the files of a part. Returns counts of what was read, kept and dropped, and the repositories' names."""
    rows, sketches = bytearray(), bytearray()
    dropped: Counter[str] = Counter()
    contaminated: list[tuple[str, str]] = []
    repos: dict[str, str] = {}
    documents_read = dropped_bytes = problems = offset = 0
    with work.write(f"{name}.texts") as file:
        for one in documents:
            documents_read += 1
            if isinstance(one, Dropped):
                dropped[one.reason] += 1
                dropped_bytes += one.size
                if one.problem:
                    contaminated.append((one.id, one.problem))
                continue
            document = one.document
            prompt, text = document.prompt.encode(), document.text.encode()
            file.write(prompt + text)
            halves = (one.key[:8], one.key[8:], one.content[:8], one.content[8:])
            numbers = (int.from_bytes(half) for half in halves)
            rows += np.array([(*numbers, one.repo, offset, len(prompt), len(text), one.source)], ROW).tobytes()
            sketches += one.bands.tobytes()
            repos[format(one.repo, "x")] = document.repo
            offset += len(prompt) + len(text)
            problems += bool(prompt)
    with work.write(f"{name}.bands") as file:
        file.write(np.frombuffer(sketches, np.uint64).reshape(-1, BANDS).T.tobytes())
    with work.write(f"{name}.rows") as file:
        file.write(rows)
    counts = {"documents": documents_read, "kept": len(rows) // ROW.itemsize, "bytes": dropped_bytes + offset}
    return {**counts, "problems": problems, "dropped": dropped, "contaminated": contaminated, "repos": repos}


def text_range(part: int, row: np.void) -> Range:
    """The byte range of the text of a document without a prompt. row: of dtype ROW or COMPARED."""
    return f"{part_name(part)}.texts", int(row["offset"]), int(row["text"])
