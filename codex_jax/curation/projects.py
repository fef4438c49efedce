"""A project with its tests: its text files, from a folder or a source archive. None of its code runs here."""

import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from email.parser import HeaderParser
from pathlib import Path

from codex_jax.curation.needed_packages import TOP, files_of, needed_files
from codex_jax.errors import InputError
from codex_jax.sources.archives import SUFFIXES, licence_of_metadata, normalise_name
from codex_jax.sources.folders import licence_of, read_regular
from codex_jax.sources.pypi import REQUIREMENT, download_sdist
from codex_jax.text.licences import combine, detect, is_licence_file

MAX_FILES = 2500  # of a project
MAX_BYTES = 1_000_000  # of a file
FOLDERS = ("src", "lib", "python", ".")  # from which modules are imported, where they exist
NATIVE = (".c", ".cc", ".cpp", ".pyx", ".pyd", ".rs", ".f", ".f90", ".cu")
TEST = re.compile(r"^\s*(async )?def test", re.MULTILINE)
TEST_NAME = re.compile(r"(test.*|.*tests?)\.py")
# Files that are no part of what is imported or tested.
SKIPPED = re.compile(r"(^|/)(\.|docs?/|examples?/|benchmarks?/|build/|dist/|node_modules/|venv/)")
SIGN = ">>>"


@dataclass(frozen=True)
class Project:
    """The text files of a project, with those that are its tests."""

    name: str
    licence: str
    files: dict[str, str]  # by their paths
    tests: tuple[str, ...]
    doctests: tuple[str, ...] = ()  # modules with examples in docstrings
    version: str = ""
    missing: tuple[str, ...] = ()  # modules that tests import and that could not be had

    @property
    def folders(self) -> tuple[str, ...]:
        """Those that modules are imported from."""
        return tuple(one for one in FOLDERS if one == "." or any(name.startswith(f"{one}/") for name in self.files))

    @property
    def label(self) -> str:
        """The name and the version."""
        return f"{self.name}-{self.version}" if self.version else self.name


def read_projects(specs: Iterable[str]) -> list[Project]:
    """The projects in dir:PATH, sdist:FILE and pypi:NAME[==VERSION].

    InputError if one has no tests or too many files, or needs what must be compiled.
    """
    projects = [_read(spec) for spec in specs]
    names = [project.name for project in projects]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"two projects are named {name}: leave one out, or rename its folder")
    return projects


def _read(spec: str) -> Project:
    kind, _, argument = spec.partition(":")
    if kind == "dir" and Path(argument).is_dir():
        files = _files_of_folder(argument)
        return _project(spec, Path(argument).resolve().name, licence_of(argument), files)
    if kind == "sdist" and Path(argument).is_file() and argument.endswith(SUFFIXES["sdist"]):
        return _of_archive(spec, Path(argument))
    if kind == "pypi" and REQUIREMENT.fullmatch(argument):
        with tempfile.TemporaryDirectory(prefix="codex_jax_") as folder:
            return _of_archive(spec, download_sdist(argument, Path(folder)))
    raise InputError(f"{spec}: give pypi:NAME[==VERSION], sdist:FILE, or dir:PATH of a project with its tests")


def _files_of_folder(root: str) -> dict[str, str]:
    files: dict[str, str] = {}
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if name[0] != "." and name != "__pycache__")
        for name in sorted(names):
            inner = os.path.relpath(os.path.join(folder, name), root)
            try:
                data = read_regular(root, inner, MAX_BYTES + 1)
                if len(data) <= MAX_BYTES:
                    files[inner] = data.decode()
            except (OSError, UnicodeDecodeError):
                continue
    return files


def _of_archive(spec: str, path: Path) -> Project:
    files = files_of(path, MAX_BYTES)
    tops = {name.partition("/")[0] for name in files}
    if len(tops) == 1:
        files = {name.partition("/")[2]: text for name, text in files.items()}
    metadata = HeaderParser().parsestr(files.get("PKG-INFO", ""))
    name = normalise_name(metadata.get("Name", "")) or path.name.rpartition("-")[0]
    texts = (text for file, text in files.items() if "/" not in file and is_licence_file(file))
    licence = licence_of_metadata(metadata) or combine(map(detect, texts))
    version = metadata.get("Version", "").strip()
    # Some packages read their own version from the metadata of what is installed.
    needed = {f"{TOP}/{name.replace('-', '_')}-{version}.dist-info/METADATA": files.get("PKG-INFO", "")}
    project = _project(spec, name, licence, files)
    more, missing = needed_files(project.files, project.tests, metadata)
    return replace(project, version=version, files=project.files | needed | more, missing=missing)


def _project(spec: str, name: str, licence: str, files: dict[str, str]) -> Project:
    files = {file: text for file, text in files.items() if not SKIPPED.search(file)}
    for file in files:
        if file.endswith(NATIVE) and not re.search(r"(^|/)tests?/", file):
            raise InputError(f"{spec} needs compiling ({file}): give a project in pure Python")
    if len(files) > MAX_FILES:
        files = {file: text for file, text in files.items() if file.endswith(".py")}
    if len(files) > MAX_FILES:
        raise InputError(f"{spec} has over {MAX_FILES} Python files: give a smaller project")
    python = {file: text for file, text in files.items() if file.endswith(".py")}
    tests = tuple(
        file
        for file, text in python.items()
        if TEST.search(text) and (TEST_NAME.fullmatch(file.rpartition("/")[2]) or re.search(r"(^|/)tests?/", file))
    )
    doctests = tuple(
        file for file, text in python.items() if SIGN in text and file not in tests and not file.startswith("setup")
    )
    if not tests and not doctests:
        raise InputError(f"{spec} has no tests (test_*.py): give a project with its tests")
    return Project(name, licence, files, tests, doctests)
