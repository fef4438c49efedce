"""The sources stdlib and dir:PATH: Python files in a folder."""

import os
import stat
import sysconfig
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources.source import Item, Part
from codex_jax.storage.paths import only_local
from codex_jax.storage.regular import open_regular
from codex_jax.text.document import Rejected
from codex_jax.text.encoding import MAX_BYTES, escape_surrogates, python_item
from codex_jax.text.licences import combine, detect, is_licence_file

PART_BYTES, PART_FILES = 16 << 20, 1000
NOT_SOURCE = {"__pycache__", ".git"}
STDLIB_TESTS = {"test", "tests", "idle_test", "site-packages", "__pycache__"}
LICENCE_BYTES = 1 << 16  # the longest common licence, the GPL, has 35 KB


def stdlib(argument: str) -> Iterator[Part]:
    """stdlib: the running Python's standard library without its tests. repo: the top-level package."""
    if argument:
        raise InputError(f"stdlib:{argument}: stdlib takes no argument")
    root = sysconfig.get_path("stdlib")
    return split_files("stdlib", root, list_python(root, STDLIB_TESTS), license_="PSF-2.0")


def directory(argument: str) -> Iterator[Part]:
    """dir:PATH: all Python files below a folder; links are not followed. repo: the first folder below PATH."""
    only_local("dir", argument)
    if not argument or not Path(argument).is_dir():
        raise InputError(f"no folder {argument!r}: give dir:PATH of one that holds Python files")
    return split_files("dir", argument, list_python(argument, NOT_SOURCE))


def list_python(root: str, skip: set[str]) -> list[tuple[str, int]]:
    """Lists regular .py files as sorted pairs (relative path, bytes), without the folders named in skip.

    A folder that cannot be listed is returned like a file. Reading it fails, so it is counted as unreadable.
    """
    files: list[tuple[str, int]] = []

    def add_unlistable(error: OSError) -> None:
        files.append((os.path.relpath(error.filename, root), 0))

    for folder, subfolders, names in os.walk(root, onerror=add_unlistable):
        subfolders[:] = [name for name in subfolders if name not in skip]
        for name in names:
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                size = regular_size(path)
                if size is not None:
                    files.append((os.path.relpath(path, root), size))
    return sorted(files, key=lambda pair: pair[0].split("/"))


def regular_size(path: str) -> int | None:
    """The file's size in bytes; 0 if it does not exist; None for links, folders, pipes and devices."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def split_files(
    prefix: str, root: str, files: list[tuple[str, int]], repo: str = "", license_: str = ""
) -> Iterator[Part]:
    """Yields parts of consecutive files, each named after its first. repo, license_: as in read."""
    names: list[str] = []
    total = 0
    for index, (name, size) in enumerate(files):
        names.append(name)
        total += size
        if total >= PART_BYTES or len(names) == PART_FILES or index == len(files) - 1:
            first = escape_surrogates(f"{repo}/{names[0]}" if repo else names[0])
            yield Part(f"{prefix}:{first}+{len(names)}", total, read, (root, tuple(names), repo, license_))
            names, total = [], 0


def read(root: str, names: tuple[str, ...], repo: str, license_: str) -> Iterator[Item]:
    """Yields the items of files below root.

    repo: used for all files; "" selects each file's first folder. license_: used for all files; "" detects it from the
    licence files in the file's first folder (if repo is "") or else in root.
    """
    folder_licence = cache(licence_of)
    for name in names:
        path = escape_surrogates(name)
        first = name.split("/")[0]
        id_ = f"{repo}/{path}" if repo else path
        try:
            data = read_regular(root, name, MAX_BYTES + 1)
        except OSError:
            yield Rejected(id_, "unreadable")
            continue
        licence = license_ or ("" if repo else folder_licence(os.path.join(root, first))) or folder_licence(root)
        yield python_item(id_, repo or escape_surrogates(first).removesuffix(".py"), path, data, licence)


def read_regular(root: str, name: str, size: int) -> bytes:
    """The first `size` bytes of a regular file below root. OSError for other files and for paths through links."""
    path = os.path.join(os.path.realpath(root), name)
    if os.path.realpath(path) != path:
        raise OSError(f"{path} is reached through a link")
    with open_regular(path) as file:
        return file.read(size)


def licence_of(folder: str) -> str:
    """The SPDX expression of the licence files in a folder; "" if there are none or they are unknown."""
    try:
        names = sorted(filter(is_licence_file, os.listdir(folder)))
    except OSError:
        return ""
    licences = []
    for name in names:
        try:
            licences.append(detect(read_regular(folder, name, LICENCE_BYTES).decode("utf-8", "replace")))
        except OSError:
            continue
    return combine(licences)
