import gzip
import os
import tempfile

import pytest

from codex_jax.errors import InputError
from codex_jax.sources import pypi
from codex_jax.sources.source import parts
from codex_jax.text.document import Document

from .archive import tar_bytes, wheel
from .reading import read


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder that pip uses as the package index, without a network."""
    folder = tmp_path / "index"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return folder


def test_the_newest_or_the_given_version_is_read(index, tmp_path, capfd):
    for version in ("1.2", "1.10"):
        wheel(index, version=version, metadata="License: MIT\n")
    assert read("pypi:some.PKG") == [
        Document("some-pkg-1.10/some_pkg/x.py", "some-pkg", "some_pkg/x.py", "x = 1\n", license="MIT")
    ]
    assert [item.id for item in read("pypi:Some_Pkg==1.2")] == ["some-pkg-1.2/some_pkg/x.py"]
    assert capfd.readouterr() == ("", "")
    assert os.listdir(tmp_path / "temporary") == []


def test_each_package_of_a_list_is_a_part(index, tmp_path):
    wheel(index)
    wheel(index, name="b")
    (tmp_path / "list").write_text("# these\nSome_Pkg==1.2  # a comment\n\nb\nsome-pkg==1.2\n")
    assert [part.name for part in parts(f"pypi:@{tmp_path}/list")] == ["pypi:some-pkg==1.2", "pypi:b"]
    assert [item.repo for item in read(f"pypi:@{tmp_path}/list")] == ["some-pkg", "b"]


def test_no_package_code_is_run(index, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    evil = f"open({str(ran)!r}, 'w')\n".encode()
    (index / "evil-1.0.tar.gz").write_bytes(gzip.compress(tar_bytes([("evil-1.0/setup.py", evil)])))
    (tmp_path / "pip").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (tmp_path / "pip" / name).write_bytes(evil)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="evil: pip found no wheel: No matching distribution found for evil: check"):
        read("pypi:evil")
    assert not ran.exists()


def test_failed_downloads_and_broken_wheels_are_refused(index, monkeypatch):
    with pytest.raises(InputError, match="No matching distribution found for some-pkg==9: check") as caught:
        read("pypi:some-pkg==9")
    assert "\n" not in str(caught.value)
    path = wheel(index)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(InputError, match=r"pip found no wheel|cannot read"):
        read("pypi:some-pkg")
    monkeypatch.setattr(pypi, "TIMEOUT", 0)
    with pytest.raises(InputError, match="pip took over 0 s"):
        read("pypi:some-pkg")


INVALID = ["", "-h", "-r file", "a b", "./a", "a/b", "a @ file:///x", "a==", "a>=1", "a==1 --pre", "a[b]", "é", "a\n"]


@pytest.mark.parametrize("name", INVALID)
def test_invalid_requirements_are_refused(name):
    with pytest.raises(InputError, match="is not NAME or NAME==VERSION"):
        parts(f"pypi:{name}")


def test_bad_lists_are_refused(tmp_path):
    (tmp_path / "blank").write_text("\n# nothing\n")
    (tmp_path / "bad").write_text("a\n--index-url x\n")
    (tmp_path / "bytes").write_bytes(b"\xff")
    for name, message in (
        ("none", "cannot read .*none"),
        ("blank", "names no package"),
        ("bad", "bad line 2: '--index-url x' is not NAME"),
        ("bytes", "cannot read .*bytes"),
    ):
        with pytest.raises(InputError, match=message):
            parts(f"pypi:@{tmp_path}/{name}")
