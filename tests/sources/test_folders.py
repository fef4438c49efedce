import os
import sysconfig
from pathlib import Path

import pytest

from codex_jax.errors import InputError
from codex_jax.sources import folders
from codex_jax.sources.source import parts
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import MAX_BYTES

from .reading import documents, read

MIT = "Permission is hereby granted, free of charge, to any person obtaining a copy of this software\nand associated "
MIT += "documentation files: the above copyright notice and this permission notice shall be included in all copies"


def write(path, text="x = 1\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_stdlib_is_split_by_package_and_without_tests():
    by_id, _ = documents("stdlib")
    assert len(by_id) > 300
    assert by_id["json/decoder.py"].repo == "json"
    assert by_id["bisect.py"].repo == "bisect"
    assert by_id["bisect.py"].text == (Path(sysconfig.get_path("stdlib")) / "bisect.py").read_text()
    assert {document.license for document in by_id.values()} == {"PSF-2.0"}
    assert not any("/test/" in f"/{name}" or "site-packages" in name for name in by_id)
    with pytest.raises(InputError, match="no argument"):
        parts("stdlib:3.12")


def test_a_folder_is_read_without_links_and_other_files(tmp_path):
    write(tmp_path / "a" / "x.py")
    for name in ("a/x.txt", "a/__pycache__/x.py", ".git/hook.py"):
        write(tmp_path / name)
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "self.py").symlink_to(tmp_path / "a" / "self.py")
    (tmp_path / "a" / "y.py").symlink_to(tmp_path / "a" / "x.py")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "folder.py").mkdir()
    os.mkfifo(tmp_path / "a" / "pipe.py")
    assert read(f"dir:{tmp_path}") == [Document("a/x.py", "a", "a/x.py", "x = 1\n")]


def test_the_first_folder_is_the_repo_and_gives_the_licence(tmp_path):
    for name in ("a/b/x.py", "c/x.py", "top.py"):
        write(tmp_path / name)
    write(tmp_path / "a" / "LICENSE.txt", MIT)
    by_id, _ = documents(f"dir:{tmp_path}")
    assert {name: (document.repo, document.license) for name, document in by_id.items()} == {
        "a/b/x.py": ("a", "MIT"),
        "c/x.py": ("c", ""),
        "top.py": ("top", ""),
    }
    write(tmp_path / "COPYING", "Apache License Version 2.0")
    by_id, _ = documents(f"dir:{tmp_path}")
    assert [document.license for document in by_id.values()] == ["MIT", "Apache-2.0", "Apache-2.0"]


def test_licence_files_that_are_links_or_folders_are_ignored(tmp_path):
    write(tmp_path / "elsewhere", MIT)
    write(tmp_path / "code" / "x.py")
    (tmp_path / "code" / "LICENSE").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "code" / "COPYING").mkdir()
    (document,) = read(f"dir:{tmp_path / 'code'}")
    assert document.license == ""


def test_unreadable_files_are_rejected(tmp_path):
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'\n")
    (tmp_path / "large.py").write_bytes(b"#" * (MAX_BYTES + 1))
    Path(os.fsdecode(bytes(tmp_path) + b"/odd\xff.py")).write_text("x = 1\n")
    write(tmp_path / "gone.py")
    write(tmp_path / "swapped.py")
    write(tmp_path / "pipe.py")
    write(tmp_path / "sub" / "x.py")
    all_parts = parts(f"dir:{tmp_path}")
    (tmp_path / "gone.py").unlink()
    (tmp_path / "swapped.py").unlink()
    (tmp_path / "swapped.py").symlink_to(tmp_path / "sub" / "x.py")
    (tmp_path / "pipe.py").unlink()
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "sub").rename(tmp_path / "moved")
    (tmp_path / "sub").symlink_to(tmp_path / "moved")
    items = {item.id: item for part in all_parts for item in part.documents()}
    reasons = {name: item.reason for name, item in items.items() if isinstance(item, Rejected)}
    assert reasons == {
        "latin.py": "not_decodable",
        "large.py": "too_large",
        "gone.py": "unreadable",
        "swapped.py": "unreadable",
        "pipe.py": "unreadable",
        "sub/x.py": "unreadable",
    }
    assert items["odd\\udcff.py"].repo == "odd\\udcff"


def test_a_folder_that_cannot_be_listed_is_rejected(tmp_path, monkeypatch):
    write(tmp_path / "a" / "x.py")
    write(tmp_path / "closed" / "x.py")
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    by_id, reasons = documents(f"dir:{tmp_path}")
    assert list(by_id) == ["a/x.py"]
    assert reasons == {"closed": "unreadable"}


def test_parts_have_limited_files_and_bytes(tmp_path, monkeypatch):
    for number in range(7):
        write(tmp_path / f"{number}.py", "x" * 10 * (number == 4))
    monkeypatch.setattr(folders, "PART_FILES", 3)
    monkeypatch.setattr(folders, "PART_BYTES", 10)
    all_parts = parts(f"dir:{tmp_path}")
    assert [(part.name, part.size) for part in all_parts] == [("dir:0.py+3", 0), ("dir:3.py+2", 10), ("dir:5.py+2", 0)]
    assert [item.id for item in read(f"dir:{tmp_path}")] == [f"{number}.py" for number in range(7)]


@pytest.mark.parametrize("name", ["", "none", "file.py"])
def test_an_argument_that_is_not_a_folder_is_refused(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "file.py")
    with pytest.raises(InputError, match="no folder"):
        parts(f"dir:{name}")
