import gzip

import pytest

from codex_jax.curation.needed_packages import TOP, declared_names, imports_of, run_requirements
from codex_jax.curation.projects import Project, read_projects
from codex_jax.errors import InputError
from tests.sources.archive import tar_bytes, wheel
from tests.sources.simple_index import simple_index

TEST = "import unittest\nimport helper_lib, not_declared\nfrom pkg import f\n\ndef test():\n    assert f(1)\n"
METADATA = """\
Metadata-Version: 2.1
Name: Some.Pkg
Version: 1.5
License: MIT
Requires-Dist: needed>=1
Requires-Dist: other; python_version < "3"
Requires-Dist: helper-lib; extra == "test"
Requires-Dist: native; extra == "test"
"""
FILES = {
    "pkg/__init__.py": "def f(x):\n    return x\n",
    "pkg/shown.py": 'def g():\n    """\n    >>> g()\n    """\n',
    "tests/test_pkg.py": TEST,
    "tests/__init__.py": "",
    "tests/helpers.py": "def help(): pass\n",
    "docs/conf.py": "def test(): pass\n",
    "LICENSE": "MIT License\n",
}


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def sdist(name, files):
    files = {"setup.py": "raise SystemExit\n", **files}  # pip wants one
    return gzip.compress(tar_bytes([(f"{name}/{inner}", text.encode()) for inner, text in files.items()]))


def test_a_project_is_read_from_a_folder(tmp_path):
    folder = write(tmp_path / "one", {**FILES, "tests/data.bin": b"\xff", ".git/test_x.py": TEST})
    (folder / "link.py").symlink_to("/etc/passwd")
    (project,) = read_projects([f"dir:{folder}"])
    assert project.files == {name: text for name, text in FILES.items() if not name.startswith("docs/")}
    assert project.tests == ("tests/test_pkg.py",)
    assert project.doctests == ("pkg/shown.py",)
    assert (project.name, project.label, project.folders) == ("one", "one", (".",))


def test_which_files_are_tests(tmp_path):
    test = "class T:\n    def test_x(self): pass\n"
    names = ["test_a.py", "a_test.py", "tests.py", "pkg/test/b.py", "src/pkg/tests/c.py"]
    others = {"pkg/latest.py": "x = 1\n", "pkg/d.py": test, "tests/e.py": "x = 1\n"}
    (project,) = read_projects([f"dir:{write(tmp_path / 'one', {**dict.fromkeys(names, test), **others})}"])
    assert {*project.tests} == {*names}
    assert project.folders == ("src", ".")


def test_a_project_comes_from_the_index_with_what_its_tests_need(tmp_path, monkeypatch):
    for one in ("wheels", "index"):
        (tmp_path / one).mkdir()
    needed = wheel(
        tmp_path / "wheels", "needed", "1.0", [("needed/x.py", b"a = 1\n"), ("needed/tests/test_x.py", b"")],
        "Requires-Dist: deeper\n",
    )  # fmt: skip
    archives = {
        "some_pkg-1.5.tar.gz": sdist("some_pkg-1.5", {**FILES, "PKG-INFO": METADATA}),
        needed.name: needed.read_bytes(),
        "deeper-2.tar.gz": sdist("deeper-2", {"deeper.py": "b = 2\n"}),
        "helper_lib-1.tar.gz": sdist("helper_lib-1", {"src/helper_lib/__init__.py": ""}),
        "native-1.tar.gz": sdist("native-1", {"native.c": "", "native.py": ""}),
    }
    with simple_index(tmp_path / "index", archives, monkeypatch):
        (project,) = read_projects(["pypi:some.pkg"])
    assert (project.name, project.version, project.licence) == ("some-pkg", "1.5", "MIT")
    assert project.missing == ("not_declared",)
    needed_files = {name.removeprefix(f"{TOP}/") for name in project.files if name.startswith(TOP)}
    assert {"needed/x.py", "deeper.py", "helper_lib/__init__.py", "some_pkg-1.5.dist-info/METADATA"} <= needed_files
    assert "needed/tests/test_x.py" not in needed_files
    assert not any("native" in name for name in needed_files)
    assert project.tests == ("tests/test_pkg.py",)
    (tmp_path / "some_pkg-1.5.tar.gz").write_bytes(archives["some_pkg-1.5.tar.gz"])
    with simple_index(tmp_path / "none", {}, monkeypatch):
        (project,) = read_projects([f"sdist:{tmp_path / 'some_pkg-1.5.tar.gz'}"])
    assert project.missing == ("helper-lib", "needed", "not_declared")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"a.py": "x = 1\n"}, "has no tests"),
        ({"tests/test_a.py": TEST, "src/fast.pyx": ""}, r"needs compiling \(src/fast.pyx\)"),
        ({f"f{n}.py": "" for n in range(2501)}, "over 2500 Python files"),
    ],
)
def test_projects_that_are_refused(tmp_path, files, message):
    with pytest.raises(InputError, match=message) as caught:
        read_projects([f"dir:{write(tmp_path, files)}"])
    assert "\n" not in str(caught.value)


def test_what_is_no_project(tmp_path, monkeypatch):
    for spec in ("git:x", "dir:/nowhere", "x", "sdist:/nowhere.tar.gz", "pypi:a b", "pypi:-h"):
        with pytest.raises(InputError, match="give pypi:NAME"):
            read_projects([spec])
    with (
        simple_index(tmp_path, {}, monkeypatch),
        pytest.raises(InputError, match="pypi:none: pip found no source arch"),
    ):
        read_projects(["pypi:none"])
    for one in ("a", "b"):
        write(tmp_path / one / "same", FILES)
    with pytest.raises(InputError, match="two projects are named same"):
        read_projects([f"dir:{tmp_path / one / 'same'}" for one in ("a", "b")])


def test_folders_of_modules():
    assert Project("p", "", {"lib/a.py": "", "b.py": ""}, ()).folders == ("lib", ".")


def test_requirements():
    from email.parser import HeaderParser

    metadata = HeaderParser().parsestr(METADATA + "Requires-Dist: at @ https://example.org/x.whl\nRequires-Dist: ??\n")
    assert run_requirements(metadata) == ["needed>=1"]
    files = {
        "pyproject.toml": '[dependency-groups]\ntest = ["grouped>=2", {include-group = "x"}]\n',
        "tests/requirements.txt": "# a comment\nlisted==1\n-r other.txt\n",
        "tox.ini": "deps =\n    tested\n",
        "readme.txt": "unlisted\n",
    }
    found = {*declared_names(files, metadata)}
    assert {"needed", "helper-lib", "grouped", "listed", "tested"} <= found
    assert "unlisted" not in found
    assert {*declared_names({"pyproject.toml": "= broken"}, metadata)} >= {"needed"}


def test_imports_besides_the_standard_library():
    source = (
        "import os, a.b\nfrom c.d import e\nfrom . import f\ndef g():\n    try:\n        import h\n    finally: pass\n"
    )
    assert imports_of(source) == {"a", "c", "h"}
    assert imports_of("def (") == set()
