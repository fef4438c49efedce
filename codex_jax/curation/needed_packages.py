"""The packages that a project and its tests need, from the package index: pure Python alone, as files.

Wheels are taken where there are any, and else source archives without native code. None of their code runs here.
Only names that the project itself declares are asked for, or those of common tools of tests.
"""

import ast
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from email.message import Message
from email.parser import HeaderParser
from pathlib import Path
from typing import Any

from codex_jax.errors import InputError
from codex_jax.sources.archives import normalise_name
from codex_jax.sources.members import UnreadableError, members, path_parts
from codex_jax.sources.pypi import download, download_sdist

TOP = "_needed"  # the folder of what is needed, beside the project's files
MAX_PACKAGES = 30
MAX_BYTES = 2_000_000  # of a file
MAX_FILES = 1500  # of a package
WITH_PYTEST = {"pytest", "_pytest", "pluggy", "iniconfig", "packaging", "pygments"}  # which the sandbox has
# The distributions of modules with other names, and tools of tests that projects often do not declare.
DISTRIBUTIONS = {
    "attr": "attrs", "bs4": "beautifulsoup4", "dateutil": "python-dateutil", "hypothesis": "hypothesis",
    "markdown": "markdown", "mock": "mock", "parameterized": "parameterized", "pytz": "pytz", "six": "six",
    "slugify": "python-slugify", "typing_extensions": "typing-extensions", "whatever": "whatever",
}  # fmt: skip
NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
PLUGINS = {f"pytest-{name}" for name in ("mock", "subtests", "lazy-fixtures", "cases", "datadir", "freezer", "check")}
NATIVE = (".c", ".cc", ".cpp", ".pyx", ".rs", ".so", ".pyd")


def files_of(path: Path, most: int) -> dict[str, str]:
    """The text files of an archive, by their paths. InputError if it is corrupt."""
    files: dict[str, str] = {}
    for member in members(path):
        names = path_parts(member.name)
        if not member.safe or not names:
            continue
        try:
            data = member.read(most + 1)
            if len(data) <= most:
                files["/".join(names)] = data.decode()
        except (UnreadableError, UnicodeDecodeError):
            continue
    return files


def needed_files(
    files: Mapping[str, str], tests: Iterable[str], metadata: Message
) -> tuple[dict[str, str], tuple[str, ...]]:
    """(the files of the packages that a project and its tests need, the modules that could not be had)."""
    own = {
        name.removeprefix(f"{folder}/").partition("/")[0].removesuffix(".py")
        for folder in ("src", "lib", "")
        for name in files
    }
    own |= {name.rpartition("/")[2].removesuffix(".py") for name in files}  # modules beside a test
    imported = {name for test in tests for name in imports_of(files[test])} - own - WITH_PYTEST
    declared = {*map(normalise_name, declared_names(files, metadata))}
    todo = [*run_requirements(metadata), *sorted(declared & PLUGINS)]
    missing = []
    for name in sorted(imported):
        distribution = normalise_name(DISTRIBUTIONS.get(name, name))
        if distribution in declared or name in DISTRIBUTIONS:
            todo.append(distribution)
        else:
            missing.append(name)
    found: dict[str, str] = {}
    seen = {*WITH_PYTEST, normalise_name(metadata.get("Name", ""))}
    while todo and len(seen) < MAX_PACKAGES:
        requirement = todo.pop(0)
        name = normalise_name(NAME.match(requirement)[1])  # type: ignore[index]
        if name in seen:
            continue
        seen.add(name)
        try:
            more = _package(requirement)
        except InputError:
            missing.append(name)
            continue
        found |= {f"{TOP}/{file}": text for file, text in more.items()}
        for file, text in more.items():
            if file.endswith((".dist-info/METADATA", ".egg-info/PKG-INFO")) and file.count("/") == 1:
                todo += run_requirements(HeaderParser().parsestr(text))
    return found, tuple(sorted({*missing}))


def _package(requirement: str) -> dict[str, str]:
    """The files of a package. InputError if there is none in pure Python."""
    with tempfile.TemporaryDirectory(prefix="codex_jax_") as folder:
        try:
            files = files_of(download(requirement, Path(folder), pure=True), MAX_BYTES)
        except InputError:
            files = files_of(download_sdist(requirement, Path(folder)), MAX_BYTES)
            files = {name.partition("/")[2].removeprefix("src/"): text for name, text in files.items()}
            if any(name.endswith(NATIVE) for name in files):
                raise InputError(f"{requirement} needs compiling: leave it out") from None
    kept = {name: text for name, text in files.items() if not re.search(r"(^|/)tests?/", name)}
    if len(kept) > MAX_FILES:
        raise InputError(f"{requirement} has over {MAX_FILES} files: leave it out")
    return kept


def imports_of(source: str) -> set[str]:
    """The top-level modules that a module imports, at any depth, besides the standard library's."""
    try:
        nodes = [*ast.walk(ast.parse(source))]
    except (SyntaxError, ValueError, RecursionError):
        return set()
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in names} - {""} - sys.stdlib_module_names


def run_requirements(metadata: Message) -> list[str]:
    """What a distribution needs to run here, as NAME or NAME with versions; without its extras."""
    from packaging.requirements import InvalidRequirement, Requirement

    found = []
    for text in metadata.get_all("Requires-Dist", []):
        try:
            one = Requirement(text)
        except InvalidRequirement:
            continue
        if one.url is None and (one.marker is None or one.marker.evaluate({"extra": ""})):
            found.append(f"{one.name}{one.specifier}")
    return found


def declared_names(files: Mapping[str, str], metadata: Message) -> Iterator[str]:
    """The distributions that a project names anywhere: in its metadata, pyproject.toml, requirements or tox.ini."""
    lines = list(metadata.get_all("Requires-Dist", []))
    try:
        project = tomllib.loads(files.get("pyproject.toml", ""))
    except (tomllib.TOMLDecodeError, RecursionError):
        project = {}
    lines += [*_texts(project)]
    for name, text in files.items():
        if re.search(r"requirements[^/]*\.(txt|in)$|(^|/)(tests?|dev)[^/]*\.txt$|^(tox\.ini|setup\.cfg)$", name):
            lines += text.splitlines()
    for line in lines:
        if match := NAME.match(line):
            yield match[1]


def _texts(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield key  # as in tables of dependencies
            yield from _texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from _texts(value)
    elif isinstance(node, str):
        yield node
