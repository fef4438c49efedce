"""Loads installed packages before programs are forked, so that a program's import of them takes no time.

Programs see the packages in FOLDER. In the namespaces layer that is a folder. In the others, programs read no files:
modules come from the fork server's memory, and all extension modules are loaded before.
"""

import _imp
import contextlib
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import sys
import types
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from codex_jax.sandbox import arrays
from codex_jax.sandbox.imports import EXCLUDED_FOLDERS, FOLDER, MemoryImporter, top_level

# Numerical libraries start threads when they are loaded, which a fork does not keep.
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OPENBLAS", "OMP", "MKL", "NUMEXPR")}
RANDOM = "numpy.random"


class PackageFinder(importlib.abc.MetaPathFinder):
    """Finds these packages, wherever they are, without their neighbours."""

    def __init__(self, packages: Mapping[str, str]) -> None:
        """packages: from find_packages."""
        self.roots: dict[str, str] = {}  # the folder that a top-level module is in, by its name
        for name, path in packages.items():
            if top := top_level(name):
                self.roots[top] = str(Path(path).parents[name.count("/")])

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if path is not None or fullname not in self.roots:
            return None
        return importlib.machinery.PathFinder.find_spec(fullname, [self.roots[fullname]])


def allow_packages(packages: Mapping[str, str]) -> None:
    """Lets this process, in which tests run, import the packages and receive values of theirs."""
    sys.meta_path.append(PackageFinder(packages))
    os.environ.update(ONE_THREAD)
    if "numpy" in packages:
        arrays.carry_arrays()


def load_packages(named: Iterable[str], packages: Mapping[str, str], from_files: bool) -> None:
    """Loads the named packages. OSError if one cannot be imported here.

    packages: from find_packages. from_files: whether programs can read files, which are then in FOLDER.
    """
    os.environ.update(ONE_THREAD)
    finder = PackageFinder(packages)
    if from_files:
        sys.path.append(FOLDER)
    else:
        sys.meta_path.append(finder)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in (*named, *(["numpy"] if "numpy" in packages else [])):
            try:
                importlib.import_module(name)
            except Exception as error:
                raise OSError(f"{name} cannot be imported: {error!r:.200}") from None
        if not from_files:
            _load_extensions(packages)
    if "numpy" in packages:
        arrays.carry_arrays()
    if not from_files:
        importer = MemoryImporter()
        for name, path in packages.items():
            if top_level(name):
                importer.add(Path(path), tuple(name.removesuffix(".py").split("/")), f"{FOLDER}/{name}")
        sys.meta_path[-1] = importer  # instead of the finder, as programs cannot read files
        _hide_paths(set(finder.roots.values()))


def _load_extensions(packages: Mapping[str, str]) -> None:
    """Loads all extension modules, which cannot be loaded from memory."""
    for name, folder in packages.items():
        for path in sorted(Path(folder).rglob("*.so")) if top_level(name) else ():
            inner = (*path.relative_to(folder).parts[:-1], path.name.partition(".")[0])
            if all(map(str.isidentifier, inner)) and not EXCLUDED_FOLDERS.intersection(inner):
                with contextlib.suppress(Exception):
                    importlib.import_module(".".join((*name.split("/"), *inner)))


def _hide_paths(roots: set[str]) -> None:
    """Shows FOLDER instead of these folders in all that Python tells of modules and functions."""

    def shown(path: str) -> str:
        root = next((root for root in roots if path.startswith(root + "/")), None)
        return path if root is None else FOLDER + path.removeprefix(root)

    for module in [module for module in sys.modules.values() if isinstance(module, types.ModuleType)]:
        values, spec = vars(module), module.__spec__
        for key in ("__file__", "__cached__"):
            if type(values.get(key)) is str:
                values[key] = shown(values[key])
        if type(values.get("__path__")) is list:
            values["__path__"] = [*map(shown, values["__path__"])]
        if spec is None or not spec.origin or shown(spec.origin) == spec.origin:
            continue
        spec.origin, spec.cached = shown(spec.origin), None
        spec.loader = values["__loader__"] = None
        if spec.submodule_search_locations is not None:
            spec.submodule_search_locations = values.get("__path__")
    for value in gc.get_objects():
        code = getattr(value, "__code__", None) if isinstance(value, types.FunctionType) else None
        if code is not None and shown(code.co_filename) != code.co_filename:
            _imp._fix_co_filename(code, shown(code.co_filename))  # type: ignore[attr-defined]
    for path in [path for path in sys.path_importer_cache if path.startswith(tuple(roots))]:
        del sys.path_importer_cache[path]


def reseed() -> None:
    """Seeds the generators of random numbers anew, so that no two programs draw the same numbers."""
    random.seed()
    if RANDOM in sys.modules:
        sys.modules[RANDOM].seed()
