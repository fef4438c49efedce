import ast

import pytest

from codex_jax.curation.source_module import SourceModule, find_in, global_names, module_name, without_annotations

FILES = {
    "src/pkg/__init__.py": "from .a import *\nfrom .b import second as renamed\nfrom . import a\n",
    "src/pkg/a.py": "import pkg.b\nimport pkg.b as alias\nfrom . import b\n\ndef first(): return b.second()\n",
    "src/pkg/b.py": "import math\n\ndef second(): return math.pi\n_hidden = 1\n",
    "src/pkg/broken.py": "def (",
    "tool.py": "x = 1\n",
}
FOLDERS = ("src", ".")


@pytest.fixture
def find():
    return find_in(FILES, FOLDERS)


def test_modules_are_found_by_their_dotted_names(find):
    assert find("pkg").file == "src/pkg/__init__.py"
    assert find("pkg.a").name == "pkg.a"
    assert find("pkg.a") is find("pkg.a")
    assert find("tool").file == "tool.py"
    assert find("pkg.broken") is None
    assert find("pkg.c") is None
    assert find("math") is None
    names = {file: module_name(file, FOLDERS) for file in FILES}
    assert [*names.values()] == ["pkg", "pkg.a", "pkg.b", "pkg.broken", "tool"]


def test_imports_lead_to_modules_and_their_names(find):
    package, a, b = find("pkg"), find("pkg.a"), find("pkg.b")
    assert package.imported("renamed", package.tree.body[1]) == (b, "second")
    assert package.imported("a", package.tree.body[2]) is a
    assert package.starred("first") == (a, "first")
    assert package.starred("_hidden") is None
    assert package.starred("nothing") is None
    assert a.imported("pkg", a.tree.body[0]) is package
    assert a.imported("alias", a.tree.body[1]) is b
    assert a.imported("b", a.tree.body[2]) is b
    assert b.imported("math", b.tree.body[0]) is None


def test_members_of_modules(find):
    a = find("pkg.a")

    def member(source):
        return a.member(ast.parse(source).body[0].value)

    assert member("b.second") == member("alias.second") == member("pkg.b.second") == (find("pkg.b"), "second")
    assert member("pkg.b") is None
    assert member("b.missing") is None
    assert member("other.second") is None


def test_overloads_bind_nothing():
    text = "import typing\n@typing.overload\ndef f(x: int) -> int: ...\ndef f(x): return x\n"
    assert SourceModule(text).bindings["f"] == [2]


def test_annotations_are_left_out():
    source = "def f(a: A, *b: B, c: C = D) -> E:\n    x: F = G\n    return x\n"
    assert global_names(without_annotations(source)) == {"D", "G"}
    assert SourceModule("from __future__ import annotations\n").delays_annotations
    assert not SourceModule("from __future__ import division\n").delays_annotations
