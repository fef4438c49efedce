"""A folder that is local or on shared storage (gs://, s3://, file://), for work done on several machines."""

import errno
import os
import shutil
import tempfile
import uuid
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO, Protocol, cast

from codex_jax.errors import InputError
from codex_jax.storage.atomic import write_atomic
from codex_jax.storage.paths import connect, is_remote, split_uri

Range = tuple[str, int, int | None]  # file name, first byte, number of bytes (None: to the end of the file)

SPOOL_BYTES = 8 << 20  # larger files are buffered on the local disk instead of in memory before they are sent
REQUESTS = 16  # concurrent reads of a store
OPEN_FILES = 128  # files of a store that stay open while ranges are read


class Folder(Protocol):
    """A folder and the files directly in it. It can be pickled. Every operation raises OSError if it fails."""

    def __hash__(self) -> int: ...

    def __truediv__(self, name: str) -> "Folder":
        """The subfolder `name`."""

    def names(self) -> set[str]:
        """The names of the files; empty if the folder does not exist."""

    def write(self, name: str) -> AbstractContextManager[BinaryIO]:
        """Opens a new file, which appears or replaces an existing one when the block ends without an error."""

    def read_ranges(self, ranges: Iterable[Range]) -> Iterator[bytes]:
        """Yields the bytes of each range in order. OSError if a file is missing or too short."""

    def delete(self, name: str) -> None:
        """Deletes a file, if it exists."""

    def clear(self) -> None:
        """Deletes the folder and everything in it, if it exists."""


@dataclass(frozen=True)
class LocalFolder:
    """A folder of the local file system."""

    path: Path

    def __str__(self) -> str:
        return str(self.path)

    def __truediv__(self, name: str) -> "LocalFolder":
        return LocalFolder(self.path / name)

    def names(self) -> set[str]:
        """See Folder."""
        return {path.name for path in self.path.iterdir() if path.is_file()} if self.path.is_dir() else set()

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """See Folder."""
        self.path.mkdir(parents=True, exist_ok=True)
        with write_atomic(self.path / name) as file:
            yield file

    def read_ranges(self, ranges: Iterable[Range]) -> Iterator[bytes]:
        """See Folder."""
        for name, start, size in ranges:
            with (self.path / name).open("rb", buffering=0) as file:
                file.seek(start)
                yield _complete(file.read() if size is None else file.read(size), size, f"{self}/{name}")

    def delete(self, name: str) -> None:
        """See Folder."""
        (self.path / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """See Folder."""
        shutil.rmtree(self.path, ignore_errors=True)


@dataclass(frozen=True)
class RemoteFolder:
    """A folder that pyarrow reads and writes: gs://BUCKET/PATH, s3://BUCKET/PATH or file:///PATH."""

    uri: str

    def __str__(self) -> str:
        return self.uri

    def __truediv__(self, name: str) -> "RemoteFolder":
        return RemoteFolder(f"{self.uri}/{name}")

    def names(self) -> set[str]:
        """See Folder."""
        from pyarrow import fs

        with _os_errors(self.uri):
            store, base = self._connect()
            listed = store.get_file_info(fs.FileSelector(base, allow_not_found=True))
        return {info.base_name for info in listed if info.is_file}

    @contextmanager
    def write(self, name: str) -> Iterator[BinaryIO]:
        """See Folder. An object store shows only complete objects; a file system needs a rename for that."""
        with tempfile.SpooledTemporaryFile(SPOOL_BYTES) as spool:
            yield cast(BinaryIO, spool)
            spool.seek(0)
            with _os_errors(f"{self.uri}/{name}"):
                store, base = self._connect()
                renamed = self.uri.startswith("file:")
                path = f"{base}/{name}.{uuid.uuid4().hex}.tmp" if renamed else f"{base}/{name}"
                if renamed:
                    store.create_dir(base)
                with store.open_output_stream(path) as file:
                    shutil.copyfileobj(spool, file, SPOOL_BYTES)
                if renamed:
                    store.move(path, f"{base}/{name}")

    def read_ranges(self, ranges: Iterable[Range]) -> Iterator[bytes]:
        """See Folder. Several ranges are fetched at once."""
        with _os_errors(self.uri):
            store, base = self._connect()
        open_file = lru_cache(OPEN_FILES)(store.open_input_file)

        def fetch(name: str, start: int, size: int | None) -> bytes:
            with _os_errors(f"{self.uri}/{name}"):
                file = open_file(f"{base}/{name}")
                data = file.read_at(file.size() - start if size is None else size, start)
            return _complete(data, size, f"{self.uri}/{name}")

        pending: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(REQUESTS) as threads:
            for wanted in ranges:
                pending.append(threads.submit(fetch, *wanted))
                if len(pending) > 2 * REQUESTS:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()

    def delete(self, name: str) -> None:
        """See Folder."""
        with _os_errors(f"{self.uri}/{name}"):
            store, base = self._connect()
            if store.get_file_info(f"{base}/{name}").is_file:
                store.delete_file(f"{base}/{name}")

    def clear(self) -> None:
        """See Folder."""
        # On an object store a folder is only a key prefix, which pyarrow may not find after deleting the objects.
        with suppress(FileNotFoundError), _os_errors(self.uri):
            store, base = self._connect()
            if store.get_file_info(base).type.name == "Directory":
                store.delete_dir(base)

    def _connect(self) -> tuple[Any, str]:
        root, key = split_uri(self.uri)
        store, top = connect(root)
        return store, top + key


def open_folder(name: str) -> Folder:
    """Opens a path or a URI such as gs://BUCKET/DIR. InputError for a URI that cannot name a folder."""
    if not is_remote(name):
        return LocalFolder(Path(name).absolute())
    split_uri(name)
    return RemoteFolder(name.rstrip("/"))


def read_file(folder: Folder, name: str) -> bytes:
    """The contents of a file. OSError if it cannot be read."""
    return next(iter(folder.read_ranges([(name, 0, None)])))


def upload(path: Path, folder: Folder, name: str) -> None:
    """Copies a local file to folder/name."""
    with path.open("rb") as source, folder.write(name) as target:
        shutil.copyfileobj(source, target, SPOOL_BYTES)


@contextmanager
def _os_errors(name: str) -> Iterator[None]:
    """Turns errors of pyarrow and connect() into a one-line OSError."""
    import pyarrow

    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name) from None
    except (pyarrow.ArrowException, OSError, ValueError, InputError) as error:
        raise OSError(f"{name}: {' '.join(str(error).split())}") from None


def _complete(data: bytes, size: int | None, name: str) -> bytes:
    if size is not None and len(data) != size:
        raise OSError(f"{name} is shorter than expected")
    return data
