"""JSON lines, plain or in a .gz: read with every fault named, written whole or not at all."""

import gzip
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.sources.places import Place

Json = dict[str, Any]


def read_lines(path: Place, errors: str = "strict") -> Iterator[tuple[int, str]]:
    """(number from 1, line) of those that are not blank; InputError where the file cannot be read to its end.

    errors: what becomes of bytes that are no UTF-8, as open() has it.
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
    """("", the object), or (why not, {}): not JSON, not an object, or one of text_fields not there or not text."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return f"not JSON ({error})", {}
    if not isinstance(row, dict):
        return "not an object", {}
    fault = lacks(row, text_fields)
    return (fault, {}) if fault else ("", row)


def lacks(row: Json, text_fields: Iterable[str]) -> str:
    """Which of these is not there or not text, as a reason; "" where none."""
    missing = (name for name in text_fields if not isinstance(row.get(name), str))
    return next((f"{name!r} is missing or not text" for name in missing), "")


def read_objects(path: Place, text_fields: Iterable[str] = ()) -> Iterator[Json]:
    """All of a file's objects; InputError names the first line that parse refuses."""
    text_fields = tuple(text_fields)
    for number, line in read_lines(path):
        reason, row = parse(line, text_fields)
        if reason:
            raise InputError(f"{path} line {number}: {reason}")
        yield row


def write_objects(path: Path, rows: Iterable[Json]) -> None:
    """To a temporary name beside it, synced and renamed; OSError where that fails, with nothing left."""
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(row) + "\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    finally:
        temporary.unlink(missing_ok=True)
