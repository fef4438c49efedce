"""What programs can import: modules loaded before they are forked, and the rest of the standard library."""

import contextlib
import ctypes
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import sys
import sysconfig
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import ModuleType

# Loaded before programs are forked, because many programs import them. Each module makes every fork slightly slower.
COMMON_MODULES = """
abc array ast bisect collections contextlib copy dataclasses datetime enum fractions functools heapq inspect io
itertools json math numbers operator random re string struct time types typing warnings
"""
# Also loaded if programs cannot read bytecode files, because each program would otherwise compile these from source.
SLOW_MODULES = """
_strptime asyncio base64 calendar cmath decimal difflib encodings.idna encodings.latin_1 encodings.utf_16
hashlib pprint queue statistics textwrap threading timeit traceback unicodedata
"""
PACKAGE_FOLDERS = ("site-packages", "dist-packages")  # installed packages, which may include a benchmark with its tests
EXCLUDED_FOLDERS = {*PACKAGE_FOLDERS, "test", "tests", "tkinter"}
FOLDER = "/packages"  # where programs see the packages that they may import
METADATA = (".dist-info", ".egg-info")
NOT_MODULES = (".libs", *METADATA)  # ends of the names of what belongs to an installed package, but is no module
EXCLUDED_EXTENSIONS = ("_test", "_tkinter", "xx", "_xx")  # that no program needs, or that need a display


def prepare_imports(from_files: bool) -> list[Path]:
    """Loads modules that programs may import, and returns the paths that programs may read.

    from_files: whether programs can read the standard library's files. If not, modules come from this process's memory.
    """
    sys.path[:] = [path for path in sys.path if not os.path.isdir(os.path.join(path, "codex_jax"))]
    _load(COMMON_MODULES)
    importlib.import_module("site").setquit()  # defines exit and quit, which -S leaves out
    library = [Path(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")]
    zones = [Path(name) for name in sysconfig.get_config_var("TZPATH").split(os.pathsep)]
    if from_files:
        shared = [Path("/lib64"), *Path("/usr/lib").glob("*-linux-gnu"), *Path("/lib").glob("*-linux-gnu")]
        return [path for path in dict.fromkeys([*library, *shared, *zones]) if path.exists()]
    _load(SLOW_MODULES)  # before extension modules: since Python 3.12, asyncio must be loaded before _asyncio
    _load_extensions()
    _load_zones(zones)
    # Placed before the file importer, which may find a file that it cannot read.
    importer = MemoryImporter()
    importer.add(library[0])
    sys.meta_path.insert(-1, importer)
    return []


def top_level(entry: str) -> str:
    """The name of the top-level module that an installed file or folder belongs to; "" if it is no part of one."""
    top = entry.partition("/")[0]
    return "" if top.endswith(NOT_MODULES) else top.partition(".")[0]


def _load(names: str) -> None:
    for name in names.split():
        importlib.import_module(name)


def _load_extensions() -> None:
    """Loads the standard library's extension modules, which cannot be loaded from memory."""
    for path in Path(sysconfig.get_path("platstdlib"), "lib-dynload").glob("*.so"):
        name = path.name.partition(".")[0]
        if not name.startswith(EXCLUDED_EXTENSIONS):
            with contextlib.suppress(ImportError):
                importlib.import_module(name)
    with contextlib.suppress(OSError):
        ctypes.CDLL("libgcc_s.so.1")  # glibc loads it when a thread is cancelled


def _load_zones(folders: Iterable[Path]) -> None:
    """Makes zoneinfo read time zones from memory: those of the first folder that exists."""
    import zoneinfo._common

    folder = next(filter(Path.is_dir, folders), None)
    files = [path for path in folder.rglob("[A-Z]*") if path.is_file()] if folder else []
    data = {str(path.relative_to(str(folder))): path.read_bytes() for path in files}

    def load_tzdata(key: str) -> io.BytesIO:
        if key not in data:
            raise zoneinfo.ZoneInfoNotFoundError(f"No time zone found with key {key}")
        return io.BytesIO(data[key])

    zoneinfo._common.load_tzdata = load_tzdata  # type: ignore[assignment]
    zoneinfo.reset_tzpath(())


class MemoryImporter(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Imports modules from source code in memory."""

    def __init__(self) -> None:
        # name: (source, whether it is a package, where programs are told that it is, if anywhere)
        self._modules: dict[str, tuple[bytes, bool, str | None]] = {}

    def add(self, root: Path, parents: tuple[str, ...] = (), shown: str = "") -> None:
        """Reads all Python files below root, except in EXCLUDED_FOLDERS, or root itself if it is a file.

        parents: the name of the module whose file or folder root is; () for a folder of top-level modules. shown: the
        path of root that programs see; "" for none.
        """
        if root.is_file() and root.suffix == ".py":
            self._modules[".".join(parents)] = root.read_bytes(), False, shown or None
        for folder, subfolders, files in os.walk(root):
            subfolders[:] = [name for name in subfolders if name not in EXCLUDED_FOLDERS and name.isidentifier()]
            inner = Path(folder).relative_to(root).parts
            for file in files:
                stem, suffix = os.path.splitext(file)
                if suffix == ".py" and stem.isidentifier():
                    is_package = stem == "__init__"
                    name = ".".join((*parents, *inner) if is_package else (*parents, *inner, stem))
                    path = "/".join((shown, *inner, file)) if shown else None
                    self._modules[name] = Path(folder, file).read_bytes(), is_package, path

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """See importlib.abc.MetaPathFinder."""
        if fullname not in self._modules:
            return None
        _, is_package, shown = self._modules[fullname]
        spec = importlib.util.spec_from_loader(fullname, self, origin=shown, is_package=is_package)
        if spec and shown:
            spec.has_location = True  # it then has a __file__
        return spec

    def get_source(self, fullname: str) -> str:
        """See importlib.abc.InspectLoader."""
        return importlib.util.decode_source(self._modules[fullname][0])
