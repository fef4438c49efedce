"""stdlib and dir:PATH: Python files in a folder."""

import os
import stat
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import BinaryIO, cast

from codex_jax.errors import InputError
from codex_jax.sources.source import Item, Part, register
from codex_jax.storage.paths import only_local
from codex_jax.text.document import Rejected
from codex_jax.text.encoding import MAX_BYTES, clean, python_item
from codex_jax.text.licences import combine, detect, is_licence_file

PART_BYTES, PART_FILES = 16 << 20, 1000
NOT_SOURCE = {"__pycache__", ".git"}
STDLIB_TESTS = {"test", "tests", "idle_test", "site-packages", "__pycache__"}
LICENCE_BYTES = 1 << 16  # the longest common one, the GPL, has 35 KB


@register("stdlib")
def stdlib(argument: str) -> Iterator[Part]:
    """The running Python's own library without its tests; repo is the top-level package."""
    if argument:
        raise InputError(f"stdlib:{argument}: stdlib takes no argument")
    root = sysconfig.get_path("stdlib")
    return split("stdlib", root, list_python(root, STDLIB_TESTS), license_="PSF-2.0")


@register("dir")
def directory(argument: str) -> Iterator[Part]:
    """dir:PATH: all Python files below a folder; repo is the first folder's name, a link is not followed."""
    only_local("dir", argument)
    if not argument or not Path(argument).is_dir():
        raise InputError(f"no folder {argument!r}: give dir:PATH of one that holds Python files")
    return split("dir", argument, list_python(argument, NOT_SOURCE))


def list_python(root: str, skip: set[str]) -> list[tuple[str, int]]:
    """(relative path, bytes) of the regular .py files, sorted by folder; a folder that cannot be read is listed too."""
    found: list[tuple[str, int]] = []

    def failed(error: OSError) -> None:
        # Reading it as a file fails too, and that is counted.
        found.append((os.path.relpath(error.filename, root), 0))

    for folder, folders, names in os.walk(root, onerror=failed):
        folders[:] = [name for name in folders if name not in skip]
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                size = regular_size(path)
                if size is not None:
                    found.append((os.path.relpath(path, root), size))
    return sorted(found, key=lambda pair: pair[0].split("/"))


def regular_size(path: str) -> int | None:
    """Bytes; 0 for what is not there; None for links, folders, pipes and devices."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def split(prefix: str, root: str, files: list[tuple[str, int]], repo: str = "", license_: str = "") -> Iterator[Part]:
    """Parts of consecutive files; each is named after its first."""
    names: list[str] = []
    total = 0
    for index, (name, size) in enumerate(files):
        names.append(name)
        total += size
        if total >= PART_BYTES or len(names) == PART_FILES or index == len(files) - 1:
            first = f"{repo}/{names[0]}" if repo else names[0]
            yield Part(f"{prefix}:{clean(first)}+{len(names)}", total, read, (root, tuple(names), repo, license_))
            names, total = [], 0


def read(root: str, names: tuple[str, ...], repo: str, license_: str) -> Iterator[Item]:
    """The files' items; without a repo it is each file's first folder, without a license it is looked for."""
    look = cache(licence_of)
    for name in names:
        path = clean(name)
        first = name.split("/")[0]
        id_ = f"{repo}/{path}" if repo else path
        try:
            data = read_regular(root, name, MAX_BYTES + 1)
        except OSError:
            yield Rejected(id_, "unreadable")
            continue
        # A folder's own licence goes before that of the whole.
        own = license_ or ("" if repo else look(os.path.join(root, first)))
        yield python_item(id_, repo or clean(first).removesuffix(".py"), path, data, own or look(root))


def read_regular(root: str, name: str, size: int) -> bytes:
    """The first bytes of a regular file below root; OSError for any other, also where a folder on the way is a link."""
    path = os.path.join(os.path.realpath(root), name)
    if os.path.realpath(path) != path:
        raise OSError(f"{path} leads elsewhere")
    # O_NONBLOCK: a pipe that has taken the file's place must not hang.
    opener = lambda path, flags: os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK)  # noqa: E731
    with cast(BinaryIO, open(path, "rb", opener=opener)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(f"{path} is no regular file")
        return file.read(size)


def licence_of(folder: str) -> str:
    """What the LICENSE and COPYING files in a folder say, as an SPDX expression, or ""."""
    try:
        names = sorted(filter(is_licence_file, os.listdir(folder)))
    except OSError:
        return ""
    found = []
    for name in names:
        try:
            found.append(detect(read_regular(folder, name, LICENCE_BYTES).decode("utf-8", "replace")))
        except OSError:
            continue
    return combine(found)
