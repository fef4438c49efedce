import os
import shutil
import subprocess

import pytest

from codex_jax.errors import InputError
from codex_jax.sources.source import parts
from codex_jax.text.document import Document

from .reading import documents, read
from .test_folders import MIT, write

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder, *words, stdin=""):
    done = subprocess.run(["git", "-C", folder, *words], input=stdin, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "project"
    write(folder / "a" / "x.py")
    write(folder / "LICENSE", MIT)
    write(folder / "é.py", "y = 2\n")
    write(folder / "readme.md")
    (folder / "link.py").symlink_to("a/x.py")
    git(tmp_path, "init", folder)
    git(folder, "add", ".")
    write(folder / "untracked.py")
    return folder


def test_only_tracked_files(checkout):
    assert read(f"git:{checkout}") == [
        Document("project/a/x.py", "project", "a/x.py", "x = 1\n", license="MIT"),
        Document("project/é.py", "project", "é.py", "y = 2\n", license="MIT"),
    ]


def test_a_folder_of_checkouts(checkout, tmp_path):
    other = tmp_path / "other"
    write(other / "z.py")
    git(tmp_path, "init", other)
    git(other, "add", "z.py")
    (tmp_path / "again").symlink_to(checkout)
    by_id, _ = documents(f"git:{tmp_path}")
    assert {name: document.repo for name, document in by_id.items()} == {
        "other/z.py": "other",
        "project/a/x.py": "project",
        "project/é.py": "project",
    }


def test_submodules_and_conflicts(checkout, tmp_path):
    git(checkout, "-c", "user.name=n", "-c", "user.email=e", "commit", "-m", "m")
    git(checkout, "update-index", "--add", "--cacheinfo", f"160000,{git(checkout, 'rev-parse', 'HEAD')},module.py")
    blob = git(checkout, "rev-parse", "HEAD:a/x.py")
    git(checkout, "rm", "--cached", "a/x.py")
    sides = (f"100644 {blob} {stage}\ta/x.py\n" for stage in (1, 2, 3))
    git(checkout, "update-index", "--index-info", stdin="".join(sides))
    assert [item.id for item in read(f"git:{checkout}")] == ["project/a/x.py", "project/é.py"]


def test_tracked_files_that_are_missing_or_behind_links_are_rejected(checkout, tmp_path):
    (checkout / "é.py").unlink()
    write(tmp_path / "secret" / "x.py", "secret = 1\n")
    shutil.rmtree(checkout / "a")
    (checkout / "a").symlink_to(tmp_path / "secret")
    by_id, reasons = documents(f"git:{checkout}")
    assert not by_id
    assert reasons == {"project/a/x.py": "unreadable", "project/é.py": "unreadable"}


def test_programs_in_a_checkouts_configuration_are_not_run(checkout, tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    script = tmp_path / "script"
    write(script, f"#!/bin/sh\ntouch {ran}\n")
    script.chmod(0o755)
    for name in ("core.fsmonitor", "core.sshCommand", "core.editor", "core.pager", "filter.x.clean"):
        git(checkout, "config", name, str(script))
    hooks = checkout / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for name in ("post-index-change", "fsmonitor-watchman", "pre-auto-gc"):
        shutil.copy(script, hooks / name)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.fsmonitor")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", str(script))
    assert len(read(f"git:{checkout}")) == 2
    assert not ran.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_another_users_checkout(checkout):
    for folder, _, _ in os.walk(checkout):
        os.chown(folder, 12345, 12345)
    assert len(read(f"git:{checkout}")) == 2


def test_an_argument_that_is_not_a_checkout_is_refused(checkout, tmp_path, monkeypatch):
    for name in ("", tmp_path / "none", checkout / "a", checkout / "LICENSE"):
        with pytest.raises(InputError, match="is not a git checkout"):
            parts(f"git:{name}")
    (checkout / ".git" / "HEAD").write_text("broken")
    with pytest.raises(InputError, match="git cannot list"):
        parts(f"git:{checkout}")
    # A broken checkout inside a valid one must not be read as the outer one.
    git(tmp_path, "init", tmp_path)
    with pytest.raises(InputError, match="git cannot list"):
        parts(f"git:{checkout}")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="git is not installed"):
        parts(f"git:{checkout}")
