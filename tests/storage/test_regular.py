import os

import pytest

from codex_jax.storage.regular import open_regular


def test_regular_files_are_opened(tmp_path):
    with open_regular(tmp_path / "a", "a+b") as file:
        file.write(b"one")
    with open_regular(str(tmp_path / "a")) as file:
        assert file.read() == b"one"


def test_nothing_else_is(tmp_path):
    (tmp_path / "a").write_text("one")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "dangling").symlink_to("b")
    os.mkfifo(tmp_path / "pipe")
    for mode in ("rb", "a+b"):
        for name in ("link", "dangling", "pipe", ".", "/dev/full"):
            with pytest.raises(OSError, match=r"link|not a regular file|directory"):
                open_regular(tmp_path / name, mode)
    assert not (tmp_path / "b").exists()
