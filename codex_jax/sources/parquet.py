"""The source parquet:PATH: one document per row. The default columns are those of The Stack."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.sources.columns import Columns, as_text, split_argument
from codex_jax.sources.files import find_files
from codex_jax.sources.source import Item, Part
from codex_jax.storage.paths import READ_AHEAD, StoragePath
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import BOM, decode_python

PART_BYTES = 64 << 20
BATCH_ROWS = 64
BUFFER_BYTES = 1 << 20  # read ahead per column; whole row groups may be larger than memory
DEFAULTS = {
    "text": ("content",),
    "repo": ("max_stars_repo_name", "repo_name"),
    "path": ("max_stars_repo_path", "path"),
    "license": ("max_stars_repo_licenses", "license"),
}


def parquet(argument: str) -> Iterator[Part]:
    """parquet:PATH?text=content&repo=...&path=...&license=...: a file, a folder or a glob."""
    name, given = split_argument("parquet", argument)
    for label, path in find_files("parquet", name, (".parquet",)):
        yield from split_row_groups(label, path, given)


@contextmanager
def _open(path: StoragePath) -> Iterator[Any]:
    """Opens a ParquetFile; errors while it is open become InputErrors."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with (
            nullcontext(path) if isinstance(path, Path) else path.open(buffering=0) as source,
            ParquetFile(source, buffer_size=BUFFER_BYTES if isinstance(path, Path) else READ_AHEAD) as file,
        ):
            yield file
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {path} as parquet: {reason}: download it again") from None


def choose_columns(path: StoragePath, schema: Any, given: dict[str, str]) -> Columns:
    """The columns to read. InputError if the schema lacks a given column or the text column, or if that is not text."""
    import pyarrow.types as kinds
    from pyarrow import BaseExtensionType

    chosen = {}
    for key, names in DEFAULTS.items():
        default = next((name for name in names if name in schema.names), "content" if key == "text" else "")
        column = given.get(key, default)
        if column and column not in schema.names:
            available = ", ".join(schema.names) or "none"
            raise InputError(f"{path} has no column {column!r}: give ?{key}=COLUMN, one of {available}")
        chosen[key] = column
    kind = schema.field(schema.names.index(chosen["text"])).type
    kind = kind.storage_type if isinstance(kind, BaseExtensionType) else kind
    kind = kind.value_type if kinds.is_dictionary(kind) else kind
    texts = (kinds.is_string, kinds.is_large_string, kinds.is_string_view)
    if not any(check(kind) for check in (*texts, kinds.is_binary, kinds.is_large_binary, kinds.is_binary_view)):
        raise InputError(f"{path}: column {chosen['text']!r} holds {kind}, not text: give ?text=COLUMN")
    return Columns(**chosen)


def split_row_groups(label: str, path: StoragePath, given: dict[str, str]) -> Iterator[Part]:
    """Yields parts of whole row groups. given: the user's choice of columns."""
    with _open(path) as file:
        columns = choose_columns(path, file.schema_arrow, given)
        row_groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        groups: list[int] = []
        size = first_row = rows = 0
        for index, group in enumerate(row_groups):
            groups.append(index)
            size += group.total_byte_size
            rows += group.num_rows
            if size >= PART_BYTES or index == len(row_groups) - 1:
                name = f"parquet:{label}@{groups[0]}-{index + 1}"
                yield Part(name, size, read, (path, label, columns, tuple(groups), first_row))
                first_row += rows
                groups, size, rows = [], 0, 0


def read(path: StoragePath, label: str, columns: Columns, groups: tuple[int, ...], first_row: int) -> Iterator[Item]:
    """Yields the items of some row groups. first_row: the number of their first row. InputError if corrupt."""
    names = [columns.text, columns.repo, columns.path, columns.license]
    row = first_row
    with _open(path) as file:
        needed = sorted(set(filter(None, names)))
        for batch in file.iter_batches(BATCH_ROWS, row_groups=list(groups), columns=needed, use_threads=False):
            cells = [batch.column(batch.schema.names.index(name)) if name else None for name in names]
            for index in range(batch.num_rows):
                yield _item(f"{label}:{row}", [None if cell is None else cell[index] for cell in cells])
                row += 1


def _item(id_: str, cells: list[Any]) -> Item:
    try:
        text, repo, path, license_ = (None if cell is None else cell.as_py() for cell in cells)
    except UnicodeDecodeError:
        return Rejected(id_, "not_decodable")
    if text is None:
        return Rejected(id_, "missing_text")
    if isinstance(text, bytes):
        text = decode_python(text)
        if text is None:
            return Rejected(id_, "not_decodable")
    names = as_text(repo) or id_, as_text(path) or id_
    return Document(id_, *names, text.removeprefix(BOM), license=as_text(license_))
