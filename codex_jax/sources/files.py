"""Finds the files that a source's argument names, and decompresses them."""

import bz2
import glob
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, cast

from codex_jax.errors import InputError
from codex_jax.storage.paths import StoragePath, find_remote, is_remote
from codex_jax.text.encoding import escape_surrogates

READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)  # raised by reading a damaged stream
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
SUFFIXES = {".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
ZSTD_INPUT = 2048  # bytes decompressed at a time; they can expand to 64 MB, which is held in memory


def find_files(prefix: str, argument: str, suffixes: tuple[str, ...]) -> list[tuple[str, StoragePath]]:
    """Finds the files of a file, folder or glob, local or remote. InputError if there are none.

    Returns sorted pairs (name, path). The name is relative to the folder, or to the part of the glob without wildcards,
    with surrogates escaped. suffixes: which files of a folder to return. Links to files are followed, because data sets
    are often downloaded as links; links to folders are not.
    """
    files = find_remote(argument, suffixes) if is_remote(argument) else _find_local(prefix, argument, suffixes)
    if not files:
        raise InputError(f"no file {argument!r}: give {prefix}:PATH of a {' or '.join(suffixes)}, a folder or a glob")
    return [(escape_surrogates(name), path) for name, path in files]


def _find_local(prefix: str, argument: str, suffixes: tuple[str, ...]) -> list[tuple[str, StoragePath]]:
    path = Path(argument)
    if argument and path.is_dir():
        base, files = path, _walk(path, suffixes)
    elif argument and path.is_file():
        base, files = path.parent, [path]
    else:
        parts = path.parts
        fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        base, files = Path(*parts[:fixed]), []
        if fixed < len(parts):
            try:
                # The ** of glob.glob would follow links to folders, even in circles.
                files = list(base.glob("/".join(parts[fixed:])))
            except ValueError as error:
                raise InputError(f"{prefix}:{argument}: {error}") from None
    unique: dict[str, Path] = {}
    for file in sorted(files):
        if file.is_file():
            unique.setdefault(os.path.realpath(file), file)
    return [(file.relative_to(base).as_posix(), file) for file in unique.values()]


def _walk(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    def fail(error: OSError) -> None:
        raise InputError(f"cannot read {error.filename}: {error.strerror}")

    walk = os.walk(root, onerror=fail)
    return [Path(folder, name) for folder, _, names in walk for name in names if name.lower().endswith(suffixes)]


def compression(path: StoragePath) -> str:
    """gzip, bzip2, xz, zstd or "", by the file's first bytes. InputError if they contradict its suffix."""
    try:
        with path.open("rb", buffering=0) as file:  # unbuffered, so that a store sends only these bytes
            head = file.read(6)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # zstd's skippable frame
        return "zstd"
    if path.suffix.lower() in SUFFIXES:
        raise InputError(f"{path} is not a {SUFFIXES[path.suffix.lower()]} file: download it again")
    return ""


@contextmanager
def open_stream(path: StoragePath) -> Iterator[BinaryIO]:
    """Opens a file and decompresses it. Reading a corrupt or truncated file raises one of READ_ERRORS."""
    kind = compression(path)
    with path.open("rb") as file, _decompress(kind, file) as stream:
        yield stream


def _decompress(kind: str, file: BinaryIO) -> Any:
    if kind == "gzip":
        return gzip.open(file, "rb")
    if kind == "bzip2":
        return bz2.open(file, "rb")
    if kind == "xz":
        return lzma.open(file, "rb")
    return cast(BinaryIO, io.BufferedReader(_Zstd(file), 1 << 17)) if kind == "zstd" else nullcontext(file)


class _Zstd(io.RawIOBase):
    """A zstd reader that raises EOFError on a truncated file, which zstandard's own reader does not report."""

    def __init__(self, file: BinaryIO) -> None:
        import zstandard

        self._file, self._error, self._zstd = file, zstandard.ZstdError, zstandard.ZstdDecompressor()
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._input = self._output = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._output:
            data, self._input = self._input or self._file.read(ZSTD_INPUT), b""
            if not data:
                if self._frame is not None:
                    raise EOFError("it ends in the middle of a frame")
                return 0
            self._frame = self._frame or self._zstd.decompressobj()
            try:
                self._output = self._frame.decompress(data)
            except self._error as error:
                raise OSError(str(error)) from None
            if self._frame.eof:
                self._input, self._frame = self._frame.unused_data, None
        count = min(len(buffer), len(self._output))
        buffer[:count], self._output = self._output[:count], self._output[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
