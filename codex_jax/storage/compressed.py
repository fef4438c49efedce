"""Opens files that may be compressed with gzip, bzip2, xz or zstd, which their first bytes tell."""

import bz2
import gzip
import io
import lzma
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, BinaryIO, cast

from codex_jax.errors import InputError
from codex_jax.storage.paths import StoragePath

READ_ERRORS = (OSError, EOFError, zlib.error, lzma.LZMAError)  # raised by reading a damaged stream
MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
OTHER_FORMATS = {
    b"PK\3\4": "zip",
    b"PAR1\x15": "parquet",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "rar",
    b"\x04\x22\x4d\x18": "lz4",
    b"\x1f\x9d": "compress",
    b"LZIP\1": "lzip",
}
SUFFIXES = {".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".tbz": "bzip2", ".xz": "xz", ".zst": "zstd"}
LFS_POINTER = b"version https://git-lfs.github.com/spec/"  # begins the files that Git LFS puts in place of large ones
ZSTD_WINDOW = 1 << 31  # bytes: the largest that zstd writes, with --long=31
ZSTD_INPUT = 2048  # bytes decompressed at a time; they can expand to 64 MB, which is held in memory


def compression(path: StoragePath) -> str:
    """gzip, bzip2, xz, zstd or "", by the file's first bytes.

    InputError if they contradict its suffix, or if they are a Git LFS pointer.
    """
    try:
        with path.open("rb", buffering=0) as file:  # unbuffered, so that a store sends only these bytes
            head = file.read(len(LFS_POINTER))
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if head == LFS_POINTER:
        raise InputError(f"{path} is a Git LFS pointer and not the file itself: run git lfs pull where it came from")
    for magic, name in MAGIC.items():
        if head.startswith(magic):
            return name
    if head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5:  # zstd's skippable frame
        return "zstd"
    for magic, name in OTHER_FORMATS.items():
        if head.startswith(magic):
            raise InputError(
                f"{path} is a {name} file, which cannot be read as this: convert it, or give its own source"
            )
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

        self._file, self._error, self._zstd = (
            file,
            zstandard.ZstdError,
            zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW),
        )
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
