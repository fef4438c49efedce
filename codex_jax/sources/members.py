"""The members of an untrusted tar or zip: nothing is ever extracted to disk, and what is decompressed is bounded."""

import io
import re
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import BinaryIO, cast

from codex_jax.errors import InputError
from codex_jax.sources.files import FAULTS, open_stream
from codex_jax.storage.paths import StoragePath, size_of

RATIO, LARGEST, ALWAYS = 200, 64 << 30, 4 << 20  # a tiny archive of blank headers is no bomb
LONGEST_HEADER = 1 << 20  # bytes of a tar's long names and attributes, which are held in memory
BROKEN = (*FAULTS, tarfile.TarError, zipfile.BadZipFile, struct.error, ValueError, OverflowError, NotImplementedError)
# Python decompresses the other methods without a bound.
METHODS = {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}


class UnreadableError(Exception):
    """A member that is encrypted or compressed in a way that is not read."""


@dataclass(frozen=True)
class Member:
    """One entry that is not a folder; read gives its first bytes, before the next entry is asked for."""

    name: str
    safe: bool  # a plain file with a path below the archive's own root
    read: Callable[[int], bytes]  # raises UnreadableError


class Budget:
    """How much an archive may still decompress to; InputError once it is spent."""

    def __init__(self, path: StoragePath) -> None:
        self.path = path
        self.left = min(LARGEST, max(RATIO * size_of(path), ALWAYS))

    def spend(self, data: bytes) -> bytes:
        self.left -= len(data)
        if self.left < 0:
            size = f"{RATIO} times its size or {LARGEST >> 30} GiB"
            raise InputError(f"{self.path} looks like an archive bomb: it unpacks to over {size}")
        return data


def parts_of(name: str) -> list[str]:
    """A member's path, folder by folder."""
    return [part for part in name.split("/") if part not in ("", ".")]


def is_inside(name: str) -> bool:
    """Whether a name stays below the archive's root, on any system."""
    name = name.replace("\\", "/")
    return not name.startswith("/") and not re.match(r"[A-Za-z]:", name) and ".." not in name.split("/")


def members(path: StoragePath) -> Iterator[Member]:
    """A zip's or a tar's entries in their order; InputError where it is corrupt, cut short or a bomb."""
    with _faults(path):
        with path.open("rb", buffering=0) as file:
            is_zip = file.read(4) in (b"PK\3\4", b"PK\5\6")
        for member in _zip(path) if is_zip else _tar(path):
            yield replace(member, read=partial(_read, path, member.read))


def _read(path: StoragePath, read: Callable[[int], bytes], size: int) -> bytes:
    # The caller reads outside of the generator, whose handler does not see this.
    with _faults(path):
        return read(size)


@contextmanager
def _faults(path: StoragePath) -> Iterator[None]:
    try:
        yield
    except BROKEN as error:
        reason = str(error) or type(error).__name__
        raise InputError(f"cannot read {path}: {reason}: fetch it again") from None


class _Header(tarfile.TarInfo):
    """tarfile takes a header that is broken or cut short for the archive's end."""

    @classmethod
    def fromtarfile(cls, tar: tarfile.TarFile) -> "_Header":
        try:
            return super().fromtarfile(tar)
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            raise
        except tarfile.EmptyHeaderError:  # type: ignore[attr-defined]
            raise tarfile.ReadError("it has no end mark, so it is cut short or no archive") from None
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(f"a broken header: {error}") from None

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo | None:
        # The hook that tarfile's source offers to subclasses.
        if self.type in b"LKxgX" and self.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {self.size} bytes")
        return super()._proc_member(tar)  # type: ignore[misc]


class _Counted(io.RawIOBase):
    def __init__(self, file: BinaryIO, budget: Budget) -> None:
        self._file, self._budget = file, budget

    def read(self, size: int = -1) -> bytes:
        return self._budget.spend(self._file.read(size))


def _tar(path: StoragePath) -> Iterator[Member]:
    with open_stream(path) as file:
        counted = cast(BinaryIO, _Counted(file, Budget(path)))
        with tarfile.open(fileobj=counted, mode="r|", tarinfo=_Header, encoding="utf-8") as tar:
            while (info := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # it would keep all of them

                def read(size: int, info: tarfile.TarInfo = info) -> bytes:
                    opened = tar.extractfile(info)
                    return opened.read(size) if opened else b""

                if not info.isdir():
                    yield Member(info.name, info.isreg() and is_inside(info.name), read)
            # The checksum stands at the very end.
            while counted.read(1 << 20):
                pass


def _zip(path: StoragePath) -> Iterator[Member]:
    budget = Budget(path)
    with path.open("rb") as file, zipfile.ZipFile(file) as archive:
        for info in archive.infolist():

            def read(size: int, info: zipfile.ZipInfo = info) -> bytes:
                if info.flag_bits & 1 or info.compress_type not in METHODS:
                    raise UnreadableError
                with archive.open(info) as opened:
                    return budget.spend(opened.read(size))

            if not info.is_dir():
                kind = stat.S_IFMT(info.external_attr >> 16) if info.create_system == 3 else 0
                yield Member(info.filename, kind in (0, stat.S_IFREG) and is_inside(info.filename), read)
