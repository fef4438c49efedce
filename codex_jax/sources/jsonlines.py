"""jsonl:PATH: a document a line, in files plain or compressed."""

from collections.abc import Iterator
from typing import BinaryIO

from codex_jax.errors import InputError
from codex_jax.sources.columns import Columns, as_text, split_argument
from codex_jax.sources.files import FAULTS, compression, find, open_stream
from codex_jax.sources.source import Item, Part, register
from codex_jax.storage.jsonl import parse
from codex_jax.storage.paths import StoragePath, size_of
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import clean, is_utf8

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".json.gz")
PART_BYTES = 64 << 20
LONGEST_LINE = 64 << 20  # bytes: a line is held in memory whole
SKIP = 1 << 20


@register("jsonl")
def json_lines(argument: str) -> Iterator[Part]:
    """jsonl:PATH?text=content&repo=repo_name&path=path&license=license: a file, a folder or a glob.

    A document's id is its file and the byte, decompressed, at which its line starts; one without a repo is its own.
    """
    name, given = split_argument("jsonl", argument)
    columns = Columns(**{"text": "content", "repo": "repo_name", "path": "path", "license": "license"} | given)
    for label, path in find("jsonl", name, SUFFIXES):
        size = size_of(path)
        # Nobody can start in the middle of a compressed file.
        step = max(size, 1) if compression(path) else PART_BYTES
        for start in range(0, size, step):
            end = min(start + step, size)
            arguments = (path, label, columns, start, None if end == size else end)
            yield Part(f"jsonl:{clean(label)}@{start}-{end}", end - start, read, arguments)


def read(path: StoragePath, label: str, columns: Columns, start: int, end: int | None) -> Iterator[Item]:
    """The items of the lines that start in a range of bytes, to the file's end where end is None.

    InputError where the file cannot be read so far.
    """
    offset = start
    try:
        with open_stream(path) as file:
            if start:
                file.seek(start - 1)
                offset = start - 1 + _skip_line(file, None if end is None else end - start + 1)
            while end is None or offset < end:
                line = file.readline(LONGEST_LINE)
                if not line:
                    return
                place = f"{clean(label)}:{offset}"
                offset += len(line)
                if len(line) == LONGEST_LINE and not line.endswith(b"\n"):
                    offset += _skip_line(file, None)
                    yield Rejected(place, "malformed_line")
                elif line.strip():
                    yield parse_line(line, place, columns)
    except FAULTS as error:
        raise InputError(f"cannot read {path} after byte {offset} of its text: {error}: fetch it again") from None


def _skip_line(file: BinaryIO, limit: int | None) -> int:
    """Bytes up to the next line's start, or to limit if that is sooner."""
    skipped = 0
    while limit is None or skipped < limit:
        line = file.readline(SKIP)
        skipped += len(line)
        if not line or line.endswith(b"\n"):
            break
    return skipped


def parse_line(line: bytes, place: str, columns: Columns) -> Item:
    """The document on a line, or why there is none; place stands in for what it does not name."""
    try:
        decoded = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Rejected(place, "not_decodable")
    fault, row = parse(decoded)
    if fault:
        return Rejected(place, "malformed_line")
    text = row.get(columns.text)
    if not isinstance(text, str):
        return Rejected(place, "missing_text")
    if not is_utf8(text):
        return Rejected(place, "not_decodable")
    repo, path, license_ = (clean(as_text(row.get(name))) for name in (columns.repo, columns.path, columns.license))
    return Document(place, repo or place, path or place, text, license=license_)
