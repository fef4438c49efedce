"""Reads files on object stores (gs://BUCKET/PATH, s3://BUCKET/PATH) like local ones; file:///PATH works the same way.

Names are used literally; only file:// URIs decode % escapes. `anonymous@BUCKET` reads without credentials.
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
READ_AHEAD = 8 << 20  # bytes; large, because every read is a request to the store
RETRY_SECONDS = 30  # after this time without success, the store counts as unreachable
CONNECT_SECONDS = 5  # per connection attempt; there are three attempts


@dataclass(frozen=True)
class RemotePath:
    """A file on a store, with the part of Path's interface that readers need. Picklable: it holds no connection."""

    root: str  # gs://BUCKET, s3://BUCKET or file://
    key: str
    size: int  # bytes

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
        """Opens the file for reading bytes, seekable. Opening and reading raise InputError if the store fails."""
        store, prefix = connect(self.root)
        with store_errors(str(self)):
            raw = _RemoteFile(str(self), store.open_input_file(prefix + self.key), self.size)
        return cast(BinaryIO, io.BufferedReader(raw, buffering) if buffering else raw)


StoragePath = Path | RemotePath


def is_remote(argument: str) -> bool:
    """Whether the argument is a URI (SCHEME://...) of any scheme."""
    return URI.match(argument) is not None


def only_local(prefix: str, argument: str) -> None:
    """InputError for a URI: a source of many small files would make one slow request to the store per file."""
    if is_remote(argument):
        raise InputError(
            f"{prefix}: reads local folders only: pack {argument} into one file and give tar:, jsonl: or parquet:"
        )


def size_of(path: StoragePath) -> int:
    """The file's size in bytes. OSError if a local file is missing."""
    return path.size if isinstance(path, RemotePath) else path.stat().st_size


def storage_path(argument: str) -> StoragePath:
    """The path of one file. InputError if a remote file does not exist; a local one is not checked."""
    if not is_remote(argument):
        return Path(argument)
    root, key = split_uri(argument)
    info = _file_info(root, key)
    if info is None or not info.is_file:
        raise InputError(f"no file {argument!r}")
    return RemotePath(root, key, info.size)


def find_remote(argument: str, suffixes: tuple[str, ...]) -> list[tuple[str, StoragePath]]:
    """Finds the files of a remote file, folder or glob; the list may be empty.

    Returns sorted pairs (name, path). The name is relative to the folder, or to the part of the glob without wildcards.
    suffixes: which files of a folder to return.
    """
    root, key = split_uri(argument)
    parts = key.split("/") if key else []
    # Credentials may allow listing a bucket but not querying the bucket itself.
    info = _file_info(root, key) if key else None
    if info is not None and info.is_file:
        return [(parts[-1], RemotePath(root, key, info.size))]
    fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    if info is not None or fixed == len(parts):
        base = key
        files = [file for file in _list_files(root, base, True) if file.key.lower().endswith(suffixes)]
    else:
        base, pattern = "/".join(parts[:fixed]), parts[fixed:]
        listed = _list_files(root, base, len(pattern) > 1)
        files = [file for file in listed if _matches(_relative(base, file.key).split("/"), pattern)]
    return [(_relative(base, file.key), file) for file in sorted(files, key=lambda file: file.key.split("/"))]


def split_uri(argument: str) -> tuple[str, str]:
    """gs://BUCKET/A/B -> (gs://BUCKET, A/B). InputError for another scheme, a missing bucket, or a user name."""
    match = URI.fullmatch(argument)
    scheme, bucket, key = (match[1].lower(), match[2], match[3]) if match else ("", "", "")
    if scheme not in ("gs", "s3", "file"):
        raise InputError(f"{argument}: only gs://, s3:// and file:// are supported")
    user, at, name = bucket.rpartition("@")
    if at and user != "anonymous":  # credentials in a name would be copied into the manifest
        raise InputError(f"{scheme}://...@{name}: remove the credentials: they are taken from the environment")
    if (scheme == "file") != (not name):
        raise InputError(f"{argument}: give gs://BUCKET/PATH, s3://BUCKET/PATH or file:///PATH")
    key = unquote(key) if scheme == "file" else key
    return f"{scheme}://{bucket}", "/".join(part for part in key.split("/") if part not in ("", "."))


@cache
def connect(root: str) -> tuple[Any, str]:
    """Connects to a store: (pyarrow file system, prefix of its keys). InputError if the store is unreachable."""
    from pyarrow import fs

    scheme, _, bucket = root.partition("://")
    anonymous, bucket = "@" in bucket, bucket.rpartition("@")[2]
    with store_errors(root):
        if scheme == "file":
            return fs.LocalFileSystem(), "/"
        if scheme == "gs":
            store = fs.GcsFileSystem(anonymous=anonymous, retry_time_limit=timedelta(seconds=RETRY_SECONDS))
            return store, f"{bucket}/"
        # Amazon's tools find an S3-compatible server by these variables. Such a server has no regions.
        endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        location = {"endpoint_override": endpoint} if endpoint else {"region": fs.resolve_s3_region(bucket)}
        timeouts = {"connect_timeout": CONNECT_SECONDS, "request_timeout": RETRY_SECONDS}
        return fs.S3FileSystem(anonymous=anonymous, **location, **timeouts), f"{bucket}/"


@contextmanager
def store_errors(name: str) -> Iterator[None]:
    """Turns a store's errors into a one-line InputError. Readers would report an OSError as a corrupt file."""
    import pyarrow

    try:
        yield
    except FileNotFoundError:
        raise InputError(f"no file {name!r}") from None
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        reason = " ".join(str(error).split()).partition(" error_info=")[0]
        # pyarrow's message if a Google Cloud stream cannot be opened.
        reason = reason.replace("I/O operation on closed file", "it returns no data")
        raise InputError(f"cannot reach {name}: {reason}: check the name, the credentials and the network") from None


def _file_info(root: str, key: str) -> Any:
    store, prefix = connect(root)
    with store_errors(f"{root}/{key}"):
        info = store.get_file_info(prefix + key)
    return info if info.type.name != "NotFound" else None


def _list_files(root: str, base: str, recursive: bool) -> list[RemotePath]:
    from pyarrow import fs

    store, prefix = connect(root)
    # pyarrow follows local links to folders, even in circles, so local folders are listed one by one.
    one_by_one = root == "file://"
    files, folders = [], [(prefix + base).rstrip("/") or "/"]
    for folder in folders:
        selector = fs.FileSelector(folder, allow_not_found=True, recursive=recursive and not one_by_one)
        with store_errors(f"{root}/{base}"):
            listed = store.get_file_info(selector)
        files += [RemotePath(root, info.path.removeprefix(prefix), info.size) for info in listed if info.is_file]
        if recursive and one_by_one:
            subfolders = (info.path for info in listed if info.type == fs.FileType.Directory)
            folders += [path for path in subfolders if not os.path.islink(path)]
    return files


def _relative(base: str, key: str) -> str:
    return key.removeprefix(f"{base}/") if base else key


def _matches(parts: list[str], pattern: list[str]) -> bool:
    # As in Path.glob, ** matches any number of folders but not the file.
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_matches(parts[skip:], pattern[1:]) for skip in range(len(parts)))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _matches(parts[1:], pattern[1:])


class _RemoteFile(io.RawIOBase):
    """A pyarrow file with the interface of Python's own. Seeking before the start is an OSError, as on a local file."""

    def __init__(self, name: str, file: Any, size: int) -> None:
        self._name, self._file, self._position, self._size = name, file, 0, size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        position = offset + {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if position < 0:
            raise OSError(f"{position} is before the start")
        self._position = position
        return position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = min(len(buffer), self._size - self._position)
        if count <= 0:
            return 0
        with store_errors(self._name):
            data = self._file.read_at(count, self._position)
        if not data:
            raise InputError(f"{self._name} is shorter than when it was listed: start again")
        buffer[: len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()
