"""JSON files, and JSON lines, which may be compressed. Errors name the line; files are written atomically."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.compressed import LFS_POINTER, READ_ERRORS, compression, open_stream
from codex_jax.storage.paths import StoragePath

Json = dict[str, Any]
MAX_LINE = 64 << 20  # bytes; a line is held in memory
SKIP_BYTES = 1 << 20


def raw_lines(path: StoragePath) -> Iterator[tuple[int, bytes]]:
    """Yields (line number, line) for each line, with its end; numbers start at 1. The file may be compressed.

    Of a line longer than MAX_LINE only the beginning is yielded: see fault_of. InputError if the file cannot be read.
    """
    number = 0
    if isinstance(path, Path) and not path.is_file():
        raise InputError(f"{path} is not a file" if path.exists() else f"no file {path}")
    try:
        with open_stream(path) as file:
            while line := file.readline(MAX_LINE + 1):
                number += 1
                if len(line) > MAX_LINE and not line.endswith(b"\n"):
                    skip_line(file)
                yield number, line
    except READ_ERRORS as error:
        raise InputError(f"cannot read {path} after line {number}: {error}") from None


def decode_line(line: bytes) -> tuple[str, str]:
    """("", the text), or (why it cannot be read, ""). A byte-order mark is left out, which joined files have inside."""
    if len(line) > MAX_LINE:
        return f"longer than {MAX_LINE >> 20} MiB", ""
    try:
        return "", line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return f"not UTF-8 text ({error.reason} at byte {error.start})", ""


def skip_line(file: BinaryIO, limit: int | None = None) -> int:
    """Skips to the next line, or at least `limit` bytes if the line is longer. Returns the bytes skipped."""
    skipped = 0
    while limit is None or skipped < limit:
        line = file.readline(SKIP_BYTES)
        skipped += len(line)
        if not line or line.endswith(b"\n"):
            break
    return skipped


def read_lines(path: StoragePath) -> Iterator[tuple[int, str]]:
    """Yields (line number, line) for each line that is not blank. InputError if the file cannot be read to its end."""
    for number, data in raw_lines(path):
        reason, line = decode_line(data)
        if reason:
            raise InputError(f"cannot read {path}: line {number} is {reason}")
        if line.strip():
            yield number, line


def read_json(path: Path) -> Any:
    """The value in a JSON file; InputError if it cannot be read."""
    try:
        if path.exists() and not path.is_file():
            raise InputError(f"{path} is not a file")
        data = path.read_bytes()
        if data.startswith(LFS_POINTER):
            compression(path)
        return json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is broken: not JSON ({error})") from None


def parse(line: str, text_fields: Iterable[str] = ()) -> tuple[str, Json]:
    """Parses a JSON object whose text_fields must be strings. Returns ("", object), or (error, {})."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})", {}
    if not isinstance(row, dict):
        return "not an object", {}
    fault = text_field_error(row, text_fields)
    return (fault, {}) if fault else ("", row)


def text_field_error(row: Json, text_fields: Iterable[str]) -> str:
    """Names the first of text_fields that is missing or not a string; "" if there is none."""
    missing = (name for name in text_fields if not isinstance(row.get(name), str))
    return next((f"{name!r} is missing or not text" for name in missing), "")


def read_objects(path: StoragePath, text_fields: Iterable[str] = ()) -> Iterator[Json]:
    """Yields the objects of a file. InputError names the first line that is not an object with these text_fields."""
    text_fields = tuple(text_fields)
    for number, line in read_lines(path):
        reason, row = parse(line, text_fields)
        if reason:
            raise InputError(f"{path} line {number}: {reason}")
        yield row


def write_objects(path: Path, rows: Iterable[Json]) -> None:
    """Writes one line per row with write_atomic. OSError if that fails."""
    with write_atomic(path) as file:
        file.writelines(json.dumps(row).encode() + b"\n" for row in rows)
