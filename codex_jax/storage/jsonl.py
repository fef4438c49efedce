"""JSON lines, plain or gzipped. Errors name the file and the line; files are written atomically."""

import gzip
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.paths import StoragePath

Json = dict[str, Any]


def read_lines(path: StoragePath, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """Yields (line number, line) for each line that is not blank. Numbers start at 1.

    errors: how to decode bytes that are not UTF-8, as in open(). InputError if the file cannot be read to its end.
    """
    number = 0
    try:
        with (
            path.open("rb") as data,
            gzip.open(data, "rt", encoding="utf-8", errors=errors)
            if path.suffix == ".gz"
            else io.TextIOWrapper(data, encoding="utf-8", errors=errors) as file,
        ):
            for number, line in enumerate(file, 1):
                if line.strip():
                    yield number, line
    except FileNotFoundError:
        raise InputError(f"no file {path}") from None
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} after line {number}: {error}") from None


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
