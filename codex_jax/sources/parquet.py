"""parquet:PATH: a document a row; with no columns named, those of The Stack are looked for."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.sources.columns import Columns, as_text, split_argument
from codex_jax.sources.files import find
from codex_jax.sources.source import Item, Part, register
from codex_jax.storage.paths import READ_AHEAD, StoragePath
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import clean, decode_python

PART_BYTES = 64 << 20
BATCH = 64  # rows
BUFFER = 1 << 20  # bytes read ahead of a column: row groups are larger than memory should be
DEFAULTS = {
    "text": ("content",),
    "repo": ("max_stars_repo_name", "repo_name"),
    "path": ("max_stars_repo_path", "path"),
    "license": ("max_stars_repo_licenses", "license"),
}


@register("parquet")
def parquet(argument: str) -> Iterator[Part]:
    """parquet:PATH?text=content&repo=...&path=...&license=...: a file, a folder or a glob."""
    name, given = split_argument("parquet", argument)
    for label, path in find("parquet", name, (".parquet",)):
        yield from split(label, path, given)


@contextmanager
def _open(path: StoragePath) -> Iterator[Any]:
    """The file; InputError for what goes wrong with it while it is open."""
    import pyarrow
    from pyarrow.parquet import ParquetFile

    try:
        with (
            nullcontext(path) if isinstance(path, Path) else path.open(buffering=0) as source,
            ParquetFile(source, buffer_size=BUFFER if isinstance(path, Path) else READ_AHEAD) as file,
        ):
            yield file
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"cannot read {path} as parquet: {reason}: fetch it again") from None


def choose(path: StoragePath, schema: Any, given: dict[str, str]) -> Columns:
    """The columns in a file's schema; InputError lists those there are where one is missing or holds no text."""
    import pyarrow.types as kinds

    chosen = {}
    for key, usual in DEFAULTS.items():
        default = next((name for name in usual if name in schema.names), "content" if key == "text" else "")
        column = given.get(key, default)
        if column and column not in schema.names:
            names = ", ".join(schema.names) or "none"
            raise InputError(f"{path} has no column {column!r}: give ?{key}=COLUMN, one of {names}")
        chosen[key] = column
    kind = schema.field(schema.names.index(chosen["text"])).type
    if kinds.is_dictionary(kind):
        kind = kind.value_type
    textual = (kinds.is_string, kinds.is_large_string, kinds.is_binary, kinds.is_large_binary)
    if not any(check(kind) for check in textual):
        raise InputError(f"{path}: column {chosen['text']!r} holds {kind}, not text: give ?text=COLUMN of another")
    return Columns(**chosen)


def split(label: str, path: StoragePath, given: dict[str, str]) -> Iterator[Part]:
    """Parts of whole row groups."""
    with _open(path) as file:
        columns = choose(path, file.schema_arrow, given)
        row_groups = [file.metadata.row_group(index) for index in range(file.metadata.num_row_groups)]
        groups: list[int] = []
        total = row = rows = 0
        for index, group in enumerate(row_groups):
            groups.append(index)
            total += group.total_byte_size
            rows += group.num_rows
            if total >= PART_BYTES or index == len(row_groups) - 1:
                name = f"parquet:{clean(label)}@{groups[0]}-{index + 1}"
                yield Part(name, total, read, (path, label, columns, tuple(groups), row))
                row += rows
                groups, total, rows = [], 0, 0


def read(path: StoragePath, label: str, columns: Columns, groups: tuple[int, ...], row: int) -> Iterator[Item]:
    """The items of some row groups, of which the first starts at row; InputError where they are corrupt."""
    names = [columns.text, columns.repo, columns.path, columns.license]
    needed = sorted({name for name in names if name})
    with _open(path) as file:
        for batch in file.iter_batches(BATCH, row_groups=list(groups), columns=needed, use_threads=False):
            cells = [batch.column(batch.schema.names.index(name)) if name else None for name in names]
            for index in range(batch.num_rows):
                yield _item(f"{clean(label)}:{row}", [None if cell is None else cell[index] for cell in cells])
                row += 1


def _item(place: str, cells: list[Any]) -> Item:
    try:
        text, repo, path, license_ = (None if cell is None else cell.as_py() for cell in cells)
    except UnicodeDecodeError:
        return Rejected(place, "not_decodable")
    if text is None:
        return Rejected(place, "missing_text")
    if isinstance(text, bytes):
        text = decode_python(text)
        if text is None:
            return Rejected(place, "not_decodable")
    return Document(place, as_text(repo) or place, as_text(path) or place, text, license=as_text(license_))
