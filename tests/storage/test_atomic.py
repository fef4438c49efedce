import os
from pathlib import Path

import pytest

from codex_jax.storage.atomic import write_atomic, write_text_atomic


def test_a_file_is_replaced_and_no_temporary_file_is_left(tmp_path):
    write_text_atomic(tmp_path / "a.txt", "one é\n")
    write_text_atomic(tmp_path / "a.txt", "two\n")
    assert (tmp_path / "a.txt").read_bytes() == b"two\n"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_an_error_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")

    def fail():
        with write_atomic(path) as file:
            file.write(b"new")
            assert path.read_bytes() == b"old"
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        fail()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_its_target_stays(tmp_path):
    (tmp_path / "target").write_text("mine")
    for name in ("a", "a.tmp"):
        (tmp_path / name).symlink_to("target")
    write_text_atomic(tmp_path / "a", "new")
    assert (tmp_path / "target").read_text() == "mine"
    assert not (tmp_path / "a").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "a.tmp", "target"]


def test_permissions_are_kept_and_new_files_have_the_usual_ones(tmp_path):
    (tmp_path / "usual").write_text("")
    write_text_atomic(tmp_path / "new", "")
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode
    (tmp_path / "new").chmod(0o640)
    write_text_atomic(tmp_path / "new", "again")
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o640


def test_devices_and_pipes_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/full"), tmp_path):
        with pytest.raises(OSError, match="not a regular file"):
            write_text_atomic(path, "")
    assert (tmp_path / "pipe").is_fifo()


def test_a_missing_folder_is_an_os_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        write_text_atomic(tmp_path / "none/a.txt", "")


def test_the_data_is_on_disk_before_the_file_is_replaced(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    path.write_text("old")
    synced = []
    monkeypatch.setattr(os, "fsync", lambda fd: synced.append((os.fstat(fd).st_size, path.read_text())))
    write_text_atomic(path, "new data")
    assert synced == [(8, "old")]
    assert path.read_text() == "new data"
