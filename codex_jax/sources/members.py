"""Reads the members of untrusted tar and zip archives. Nothing is extracted to disk, and decompression is bounded."""

import bz2
import copy
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, cast

from codex_jax.errors import InputError
from codex_jax.storage.compressed import READ_ERRORS, open_stream
from codex_jax.storage.paths import StoragePath, size_of

# An archive may unpack to MAX_RATIO times its size, or MIN_LIMIT if that is more, but to at most MAX_UNPACKED bytes.
MAX_RATIO, MAX_UNPACKED, MIN_LIMIT = 200, 64 << 30, 4 << 20
MAX_HEADER = 1 << 20  # bytes; tarfile holds the headers with long names and attributes in memory
ARCHIVE_ERRORS = (
    *READ_ERRORS,
    tarfile.TarError,
    zipfile.BadZipFile,
    struct.error,
    ValueError,
    OverflowError,
    NotImplementedError,
)
BOUNDED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile reads no more of these than it is asked for
IN_PIECES = (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)  # of these it decompresses all that it reads, which can be gigabytes
PIECE = 4096  # compressed bytes


class UnreadableError(Exception):
    """A member that cannot be read; str() is the reason, as in the manifest."""


@dataclass(frozen=True)
class Member:
    """An archive member that is not a folder.

    read(size) returns its first bytes; call it before the next member. UnreadableError, or InputError if corrupt.
    """

    name: str
    safe: bool  # a regular file with a path inside the archive
    read: Callable[[int], bytes]


class DecompressionLimit:
    """Counts decompressed bytes; InputError once an archive exceeds its limit."""

    def __init__(self, path: StoragePath) -> None:
        self.path = path
        self.remaining = min(MAX_UNPACKED, max(MAX_RATIO * size_of(path), MIN_LIMIT))

    def count(self, data: bytes) -> bytes:
        """Returns the data after counting it."""
        self.remaining -= len(data)
        if self.remaining < 0:
            limit = f"{MAX_RATIO} times its size or {MAX_UNPACKED >> 30} GiB"
            raise InputError(f"{self.path} looks like an archive bomb: it unpacks to over {limit}")
        return data


def path_parts(name: str) -> list[str]:
    """The folders and the file name of a member's path."""
    return [part for part in name.split("/") if part not in ("", ".")]


def is_inside(name: str) -> bool:
    """Whether a member's path stays inside the archive, on Unix and on Windows."""
    name = name.replace("\\", "/")
    return not name.startswith("/") and not re.match(r"[A-Za-z]:", name) and ".." not in name.split("/")


def members(path: StoragePath) -> Iterator[Member]:
    """Yields the members of a zip or tar in order. InputError if it is corrupt, truncated or an archive bomb."""
    with _archive_errors(path):
        with path.open("rb", buffering=0) as file:
            is_zip = file.read(4) in (b"PK\3\4", b"PK\5\6")
        for member in _zip(path) if is_zip else _tar(path):
            yield replace(member, read=partial(_read, path, member.read))


def _read(path: StoragePath, read: Callable[[int], bytes], size: int) -> bytes:
    # Called outside the generator above, where its error handler does not apply.
    with _archive_errors(path):
        return read(size)


@contextmanager
def _archive_errors(path: StoragePath) -> Iterator[None]:
    try:
        yield
    except ARCHIVE_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"cannot read {path}: {reason}: download it again") from None


class _TarHeader(tarfile.TarInfo):
    """Raises ReadError for a broken or truncated header, at which tarfile would end the archive without an error."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_TarHeader":
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it has no end mark: it is truncated or not an archive") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a broken header: {error}") from None

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        # tarfile offers this method to subclasses.
        if self.type in b"LKxgX" and self.size > MAX_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


class _CountedFile(io.RawIOBase):
    def __init__(self, file: BinaryIO, limit: DecompressionLimit) -> None:
        self._file, self._limit = file, limit

    def read(self, size: int = -1) -> bytes:
        return self._limit.count(self._file.read(size))


def _tar(path: StoragePath) -> Iterator[Member]:
    with open_stream(path) as file:
        counted = cast(BinaryIO, _CountedFile(file, DecompressionLimit(path)))
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_TarHeader, encoding="utf-8") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # tarfile would keep all of them in memory

                def read(size: int, info: tarfile.TarInfo = info) -> bytes:
                    opened = tar.extractfile(info)
                    return opened.read(size) if opened else b""

                if not info.isdir():
                    yield Member(info.name, info.isreg() and is_inside(info.name), read)
            # Read on to the compressed stream's checksum at the very end.
            while counted.read(1 << 20):
                pass


def _zip(path: StoragePath) -> Iterator[Member]:
    limit = DecompressionLimit(path)
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():

            def read(size: int, info: zipfile.ZipInfo = info) -> bytes:
                if info.flag_bits & 1:
                    raise UnreadableError("encrypted")
                if info.compress_type not in BOUNDED + IN_PIECES:
                    raise UnreadableError("unknown_compression")
                if info.compress_type in IN_PIECES:
                    return limit.count(_expand(archive, info, size))
                with archive.open(info) as opened:
                    return limit.count(opened.read(size))

            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
                yield Member(info.filename, kind in (0, stat.S_IFREG) and is_inside(info.filename), read)


def _expand(archive: zipfile.ZipFile, info: zipfile.ZipInfo, size: int) -> bytes:
    """The first `size` bytes of a member in IN_PIECES."""
    stored = copy.copy(info)  # the compressed bytes, as if they were the member
    stored.compress_type, stored.file_size, stored.CRC = zipfile.ZIP_STORED, info.compress_size, None  # type: ignore
    data, decoder, fed = bytearray(), bz2.BZ2Decompressor(), b""
    with archive.open(stored) as raw:
        if info.compress_type == zipfile.ZIP_LZMA:
            decoder = lzma.LZMADecompressor(lzma.FORMAT_ALONE)  # type: ignore[assignment]
            properties = raw.read(struct.unpack("<HH", raw.read(4))[1])
            fed = properties + struct.pack("<q", -1 if info.flag_bits & 2 else info.file_size)  # -1: it has an end mark
        while len(data) < size and not decoder.eof:
            if not fed and decoder.needs_input and not (fed := raw.read(PIECE)):
                raise EOFError("a member is truncated")
            data += decoder.decompress(fed, size - len(data))
            fed = b""
    if decoder.eof and zlib.crc32(data) != info.CRC:
        raise zipfile.BadZipFile(f"a bad checksum of {info.filename!r}")
    return bytes(data)
