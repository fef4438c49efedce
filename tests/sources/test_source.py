import pickle
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from codex_jax.errors import InputError
from codex_jax.sources import source
from codex_jax.sources.source import Part, parts
from codex_jax.text.document import Document


def third_party(argument):
    yield Part("mine:1", 1, read_third_party, (argument,))


def read_third_party(argument):
    yield Document(argument, "r", "p", "x = 1\n")


def entry(value):
    return [EntryPoint("mine", value, source.ENTRY_POINTS)]


def test_an_unknown_source_is_refused_with_a_list_of_sources():
    with pytest.raises(InputError, match=r"unknown source 'nonsense': give one of .*dir.*jsonl.*parquet.*wheel"):
        parts("nonsense:x")


def test_an_entry_point_is_a_source(monkeypatch):
    monkeypatch.setattr(source, "entry_points", lambda group: entry(f"{__name__}:third_party"))
    (part,) = parts("mine:a:b")
    assert [item.id for item in pickle.loads(pickle.dumps(part)).documents()] == ["a:b"]


def test_a_broken_entry_point_is_named_and_does_not_affect_others(monkeypatch, tmp_path):
    monkeypatch.setattr(source, "entry_points", lambda group: entry("no_such_module_anywhere:f"))
    assert parts(f"dir:{tmp_path}") == []
    with pytest.raises(InputError, match="no_such_module_anywhere:f cannot be loaded"):
        parts("mine:x")


def test_heavy_packages_are_not_imported():
    code = """
import sys
from codex_jax.sources.source import parts
assert parts("stdlib")
print([name for name in ("jax", "numpy", "pyarrow", "zstandard", "tensorflow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
