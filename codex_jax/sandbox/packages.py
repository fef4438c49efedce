"""Installed packages that a policy lets programs import: those named, those that they need, and nothing else.

The folder of installed packages as a whole stays hidden, because benchmarks with their tests may be there.
"""

import functools
import os
import re
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution, packages_distributions
from pathlib import PurePath

from codex_jax.errors import InputError
from codex_jax.sandbox.imports import METADATA, top_level

SHARED = {"..", "", "/", "__pycache__", "test", "tests"}  # that no package has for itself


@functools.cache
def find_packages(names: tuple[str, ...]) -> Mapping[str, str]:
    """The files and folders of these packages, and of the packages that they need: {name in their folder: path}.

    names: as programs import them, such as numpy. Raises InputError if one is not an installed top-level package.
    """
    found: dict[str, str] = {}
    todo: list[tuple[str, str]] = []
    for name in names:
        todo += [(owner, f"{name} needs {owner}, which") for owner in _owners(name)]
    seen = set()
    while todo:
        owner, subject = todo.pop()
        if (key := _normal(owner)) in seen:
            continue
        seen.add(key)
        try:
            package = distribution(owner)
        except PackageNotFoundError:
            raise InputError(f"--packages: {subject} is not installed: install it") from None
        found |= _entries(package)
        todo += [(other, f"{owner} needs {other}, which") for other in _required(package)]
    tops = {top_level(entry) for entry in found}
    for name in names:
        if name not in tops:
            raise InputError(f"--packages: {name} is not installed as files: install it without --editable")
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _owners(name: str) -> list[str]:
    """The distributions that install this top-level package."""
    if name in sys.stdlib_module_names:
        raise InputError(f"--packages: {name} is a part of the standard library, which programs may always import")
    if not name.isidentifier():
        raise InputError(f"--packages: {name!r} is not the name of a package: give names as in import, such as numpy")
    try:
        if any(top_level(entry) == name for entry in _entries(distribution(name))):
            return [name]
    except PackageNotFoundError:
        pass  # it may be a part of a distribution of another name
    owners = packages_distributions().get(name)
    if not owners:
        raise InputError(f"--packages: no package named {name} is installed: install it, or leave it out")
    return list(owners)


def _entries(package: Distribution) -> dict[str, str]:
    """What a distribution installs: its folders, or their items where several distributions may share a folder."""
    files: list[PurePath] = [*(package.files or ())]
    if not files:  # those of some Linux distributions have no list of files
        tops = (package.read_text("top_level.txt") or "").split()
        files = [PurePath(top, "__init__.py") for top in tops] + [PurePath(f"{top}.py") for top in tops]
    all_parts = [file.parts for file in files if file.parts[0] not in SHARED and file.suffix != ".pth"]
    own = {parts[0] for parts in all_parts if parts[1:] == ("__init__.py",)}
    found = {}
    for parts in all_parts:
        if parts[0].endswith(METADATA) and parts[1:] != ("METADATA",):
            continue  # such as direct_url.json, which may tell a path of this machine
        whole = len(parts) == 1 or parts[0] in own or parts[0].endswith(".libs")
        name = "/".join(parts[: 1 if whole else 2])
        path = os.path.realpath(str(package.locate_file(name)))
        if name not in found and os.path.exists(path):
            found[name] = path
    return found


def _required(package: Distribution) -> list[str]:
    """The distributions that this one needs; with a condition other than an extra, those that are installed."""
    required = []
    for text in package.requires or ():
        needed, _, condition = text.partition(";")
        match = re.match(r"[\w.-]+", needed)
        if match is None or "extra" in condition:
            continue
        if condition:
            try:
                distribution(match[0])
            except PackageNotFoundError:
                continue
        required.append(match[0])
    return required
