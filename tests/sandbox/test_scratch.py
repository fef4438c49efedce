import os
from pathlib import Path

import pytest

from codex_jax.sandbox.check import Policy
from codex_jax.sandbox.scratch import FolderScratch


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    scratch = FolderScratch(Policy(scratch_size=1 << 20, scratch_files=50), None)
    scratch.clear()
    yield scratch
    scratch.close()
    assert os.listdir(tmp_path) == []


def test_clear_removes_folders_of_any_depth(scratch):
    here = os.getcwd()
    try:
        os.chdir(scratch.path)
        for _ in range(3000):  # deeper than a path or a recursion can be
            Path("f").write_text("x")
            os.mkdir("d")
            os.chdir("d")
    finally:
        os.chdir(here)
    assert scratch.is_full(os.getpid())
    scratch.clear()
    assert os.listdir(scratch.path) == []
    assert not scratch.is_full(os.getpid())


def test_clear_follows_no_links_and_removes_folders_without_permissions(scratch, tmp_path):
    outside = tmp_path.parent / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    os.symlink(outside, Path(scratch.path, "link"))
    os.makedirs(Path(scratch.path, "a/b"))
    Path(scratch.path, "a/b/f").write_text("x")
    os.chmod(Path(scratch.path, "a/b"), 0)
    os.chmod(Path(scratch.path, "a"), 0)
    os.mkfifo(Path(scratch.path, "fifo"))
    os.chmod(scratch.path, 0)
    scratch.clear()
    assert os.listdir(scratch.path) == []
    assert os.listdir(outside) == ["kept"]


def test_size_and_number_of_files_are_bounded(scratch):
    path = Path(scratch.path, "f")
    path.touch()
    os.truncate(path, (1 << 20) - 1)
    assert not scratch.is_full(os.getpid())
    os.truncate(path, (1 << 20) + 1)  # though it takes no block
    assert scratch.is_full(os.getpid())
    scratch.clear()
    for n in range(51):
        Path(scratch.path, str(n)).touch()
    assert scratch.is_full(os.getpid())


def test_a_deleted_file_counts_while_it_is_open(scratch):
    path = Path(scratch.path, "f")
    with path.open("wb") as file:
        file.truncate((1 << 20) + 1)
        path.unlink()
        assert scratch.is_full(os.getpid())
    assert not scratch.is_full(os.getpid())
