"""Files on an object store, gs://BUCKET/PATH or s3://BUCKET/PATH, beside local ones; file:///PATH goes the same way.

Names are taken as they stand, and only in file: is a % an escape. `anonymous@BUCKET` asks for no credentials.
"""

import glob
import io
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast
from urllib.parse import unquote

from codex_jax.errors import InputError

URI = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/]*)/*(.*)", re.DOTALL)
READ_AHEAD = 8 << 20  # bytes: every read of a store is a request
PATIENCE = 30  # seconds of trying again before a store counts as out of reach
CONNECT = 5  # seconds, of which there are three tries


@dataclass(frozen=True)
class RemotePath:
    """A file on a store, with what is used of a Path; it holds no handle, since it is sent to workers."""

    root: str  # gs://BUCKET, s3://BUCKET or file://
    key: str
    size: int

    def __str__(self) -> str:
        return f"{self.root}/{self.key}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.key).name

    @property
    def stem(self) -> str:
        return PurePosixPath(self.key).stem

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.key).suffix

    def open(self, mode: str = "rb", buffering: int = READ_AHEAD) -> BinaryIO:
        """Its bytes, seekable; this and reading them raise InputError where the store does not give them."""
        store, top = connect(self.root)
        with faults(str(self)):
            raw = _Raw(str(self), store.open_input_file(top + self.key), self.size)
        return cast(BinaryIO, io.BufferedReader(raw, buffering) if buffering else raw)


StoragePath = Path | RemotePath


def is_remote(argument: str) -> bool:
    """Whether it is SCHEME://..., of whatever scheme."""
    return URI.match(argument) is not None


def only_local(prefix: str, argument: str) -> None:
    """InputError for what is on a store: a request for every small file would take days."""
    if is_remote(argument):
        raise InputError(f"{prefix}: reads local folders only: pack {argument} and give tar:, jsonl: or parquet: of it")


def size_of(place: StoragePath) -> int:
    """Bytes; OSError where a local file has gone."""
    return place.size if isinstance(place, RemotePath) else place.stat().st_size


def storage_path(argument: str) -> StoragePath:
    """One file by its name; InputError where a store has none of it, while a local one is not looked for."""
    if not is_remote(argument):
        return Path(argument)
    root, key = split_uri(argument)
    info = _look(root, key)
    if info is None or not info.is_file:
        raise InputError(f"no file {argument!r}")
    return RemotePath(root, key, info.size)


def find_remote(argument: str, suffixes: tuple[str, ...]) -> list[tuple[str, StoragePath]]:
    """Sorted (name below the folder or the pattern's fixed part, file) of a file, a folder or a glob; may be empty."""
    root, key = split_uri(argument)
    parts = key.split("/") if key else []
    # Who may list a bucket may not always ask about the bucket itself.
    info = _look(root, key) if key else None
    if info is not None and info.is_file:
        return [(parts[-1], RemotePath(root, key, info.size))]
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if info is not None or fixed == len(parts):
        base = key
        found = [one for one in _list(root, base, True) if one.key.lower().endswith(suffixes)]
    else:
        base, pattern = "/".join(parts[:fixed]), parts[fixed:]
        listed = _list(root, base, len(pattern) > 1)
        found = [one for one in listed if _matches(_below(base, one.key).split("/"), pattern)]
    return [(_below(base, one.key), one) for one in sorted(found, key=lambda one: one.key.split("/"))]


def split_uri(argument: str) -> tuple[str, str]:
    """gs://BUCKET/A/B -> (gs://BUCKET, A/B); InputError for another scheme or a name without a bucket."""
    found = URI.fullmatch(argument)
    scheme, bucket, key = (found[1].lower(), found[2], found[3]) if found else ("", "", "")
    if scheme not in ("gs", "s3", "file"):
        raise InputError(f"{argument}: files are read from gs://, s3:// and file:// only")
    user, at, name = bucket.rpartition("@")
    # Keys in a name would end up in the manifest.
    if at and user != "anonymous":
        raise InputError(f"{scheme}://...@{name}: give no credentials in a name: they are taken from the environment")
    if (scheme == "file") != (not name):
        raise InputError(f"{argument}: give gs://BUCKET/PATH, s3://BUCKET/PATH or file:///PATH")
    key = unquote(key) if scheme == "file" else key
    return f"{scheme}://{bucket}", "/".join(part for part in key.split("/") if part not in ("", "."))


@cache
def connect(root: str) -> tuple[Any, str]:
    """(pyarrow's file system, what it wants before a key) of a root, once a process; InputError if out of reach."""
    from pyarrow import fs

    scheme, _, bucket = root.partition("://")
    anonymous, bucket = "@" in bucket, bucket.rpartition("@")[2]
    with faults(root):
        if scheme == "file":
            return fs.LocalFileSystem(), "/"
        if scheme == "gs":
            store = fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=timedelta(seconds=PATIENCE))
            return store, f"{bucket}/"
        # Another server than Amazon's, as its own tools find it, has no regions to ask for.
        address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        where = {"endpoint_override": address} if address else {"region": fs.resolve_s3_region(bucket)}
        times = {"connect_timeout": CONNECT, "request_timeout": PATIENCE}
        return fs.S3FileSystem(anonymous=anonymous, **where, **times), f"{bucket}/"


@contextmanager
def faults(name: str) -> Iterator[None]:
    """What a store says goes into one line; that it is no OSError keeps readers from taking it for a corrupt file."""
    import pyarrow

    try:
        yield
    except FileNotFoundError:
        raise InputError(f"no file {name!r}") from None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(" error_info=")[0]
        # What pyarrow makes of a stream of Google's that could not be opened.
        reason = reason.replace("I/O operation on closed file", "it gives no data")
        raise InputError(f"cannot reach {name}: {reason}: see the name, the credentials and the network") from None


def _look(root: str, key: str) -> Any:
    store, top = connect(root)
    with faults(f"{root}/{key}"):
        info = store.get_file_info(top + key)
    return info if info.type.name != "NotFound" else None


def _list(root: str, base: str, recursive: bool) -> list[RemotePath]:
    from pyarrow import fs

    store, top = connect(root)
    stepwise = root == "file://"  # there pyarrow follows links to folders, round and round
    found, folders = [], [(top + base).rstrip("/") or "/"]
    for folder in folders:
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=recursive and not stepwise)
        with faults(f"{root}/{base}"):
            listed = store.get_file_info(selector)
        found += [RemotePath(root, info.path.removeprefix(top), info.size) for info in listed if info.is_file]
        if recursive and stepwise:
            inside = (info.path for info in listed if info.type == fs.FileType.Directory)
            folders += [path for path in inside if not os.path.islink(path)]
    return found


def _below(base: str, key: str) -> str:
    return key.removeprefix(f"{base}/") if base else key


def _matches(parts: list[str], pattern: list[str]) -> bool:
    # As Path.glob has it: ** is any number of folders, and no file.
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


class _Raw(io.RawIOBase):
    """pyarrow's file by Python's protocol: a place before the start is an OSError, one behind the end is not."""

    def __init__(self, name: str, file: Any, size: int) -> None:
        self._name, self._file, self._place, self._size = name, file, 0, size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        place = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if place < 0:
            raise OSError(f"{place} is before the start")
        self._place = place
        return place

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._size - self._place)
        if count <= 0:
            return 0
        with faults(self._name):
            data = self._file.read_at(count, self._place)
        if not data:
            raise InputError(f"{self._name} has become shorter since it was listed: start again")
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
