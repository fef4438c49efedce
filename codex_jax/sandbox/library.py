"""What programs may import: loaded once before all of them, or kept as text where they may not read Python's files."""

import contextlib
import ctypes
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from codex_jax.sandbox.namespaces import PACKAGES

# Loaded once for all programs, as many import them; each makes every fork a little dearer.
WARM = """
abc array ast bisect collections contextlib copy dataclasses datetime enum functools heapq inspect io itertools json
math numbers operator random re string struct time types typing warnings
"""
# Where a module is compiled anew in each program that imports it, these too.
WARM_TOO = """
_strptime asyncio base64 calendar cmath decimal difflib encodings.idna encodings.latin_1 encodings.utf_16 fractions
hashlib pprint queue statistics textwrap threading timeit traceback unicodedata
"""

LEFT_OUT = {*PACKAGES, "test", "tests", "idlelib", "lib2to3", "ensurepip", "tkinter", "turtledemo"}
LOUD = ("_test", "_tkinter", "_curses", "readline", "xx", "_xx", "_dbm", "_gdbm")  # of no use here, or costly to load


def warm(names: str = WARM) -> None:
    """Loads what many programs import, and what Python's start without site left out: exit and quit."""
    for name in names.split():
        importlib.import_module(name)
    importlib.import_module("site").setquit()


class Kept(importlib.abc.MetaPathFinder, importlib.abc.InspectLoader):
    """Modules from text that this process holds."""

    def __init__(self) -> None:
        self._modules: dict[str, tuple[bytes, bool]] = {}  # name: source, whether a package

    def collect(self) -> None:
        """Reads the standard library; its compiled modules cannot be kept, so all are loaded now."""
        root = Path(sysconfig.get_path("stdlib"))
        for folder, folders, files in os.walk(root):
            folders[:] = [name for name in folders if name not in LEFT_OUT and name.isidentifier()]
            place = Path(folder).relative_to(root).parts
            for file in files:
                stem, suffix = os.path.splitext(file)
                if suffix == ".py" and stem.isidentifier():
                    package = stem == "__init__"
                    name = ".".join(place if package else (*place, stem))
                    self._modules[name] = Path(folder, file).read_bytes(), package
        warm(WARM_TOO)  # before compiled modules, as that of asyncio would do without it from Python 3.12 on
        for path in Path(sysconfig.get_path("platstdlib"), "lib-dynload").glob("*.so"):
            name = path.name.partition(".")[0]
            if not name.startswith(LOUD):
                try:
                    importlib.import_module(name)
                except ImportError:
                    continue
        with contextlib.suppress(OSError):
            ctypes.CDLL("libgcc_s.so.1")  # glibc loads it when a thread is ended early
        sys.meta_path.insert(-1, self)  # before that of files, which may be seen and yet not be read

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """As importlib asks."""
        if fullname not in self._modules:
            return None
        return importlib.util.spec_from_loader(fullname, self, is_package=self._modules[fullname][1])

    def is_package(self, fullname: str) -> bool:
        """As importlib asks."""
        return self._modules[fullname][1]

    def get_source(self, fullname: str) -> str:
        """As importlib asks."""
        return importlib.util.decode_source(self._modules[fullname][0])
