import os
import pickle
import subprocess
import sys
from contextlib import suppress

import pytest

from codex_jax.errors import InputError
from codex_jax.storage import paths
from codex_jax.storage.remote_files import REQUESTS, LocalFolder, RemoteFolder, open_folder, read_file, upload
from tests.sources.store import served, use_store

KINDS = ["local", "file", "s3", "gs"]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    """(a folder, the address of a server that has it as a bucket's parent)."""
    root = tmp_path_factory.mktemp("store")
    (root / "bucket").mkdir()
    with served(root) as address:
        yield root, address


@pytest.fixture(params=KINDS)
def folder(request, store, tmp_path, monkeypatch):
    """A new folder of each kind, in which there is nothing."""
    _, address = store
    use_store(monkeypatch, address)
    paths.connect.cache_clear()
    name = f"{tmp_path.name}-{request.param}"
    places = {"local": "", "file": "file://", "s3": "s3://bucket/", "gs": "gs://anonymous@bucket/"}
    is_mounted = request.param in ("local", "file")
    yield open_folder(f"{places[request.param]}{tmp_path / name if is_mounted else name}")
    paths.connect.cache_clear()


def write(folder, name, data):
    with folder.write(name) as file:
        file.write(data)


def test_files_are_written_listed_read_and_deleted(folder):
    assert folder.names() == set()
    large = os.urandom(9_000_000)  # more than is collected in memory
    for name, data in (("a", b"one"), ("b%20 c", b""), ("large", large)):
        write(folder, name, data)
        assert read_file(folder, name) == data
    write(folder / "below", "a", b"two")
    assert folder.names() == {"a", "b%20 c", "large"}
    assert (folder / "below").names() == {"a"}
    write(folder, "a", b"replaced")
    assert read_file(folder, "a") == b"replaced"
    folder.delete("a")
    folder.delete("a")
    assert folder.names() == {"b%20 c", "large"}
    folder.clear()
    folder.clear()
    assert folder.names() == (folder / "below").names() == set()


def test_ranges_come_in_order(folder):
    data = bytes(range(256)) * 4
    for name in "ab":
        write(folder, name, data if name == "a" else data[::-1])
    ranges = [("ab"[n % 2], 7 * n, n) for n in range(3 * REQUESTS)]
    expected = [(data if name == "a" else data[::-1])[start : start + size] for name, start, size in ranges]
    assert list(folder.read_ranges(ranges)) == expected
    assert list(folder.read_ranges([("a", 1020, None)])) == [data[1020:]]
    assert list(pickle.loads(pickle.dumps(folder)).read_ranges(ranges)) == expected


def test_a_missing_or_short_file_is_an_os_error(folder):
    write(folder, "a", b"short")
    for wanted in (("none", 0, None), ("none", 0, 3), ("a", 2, 4)):
        with pytest.raises(OSError, match=wanted[0]):
            list(folder.read_ranges([("a", 0, 5), wanted]))


def test_an_error_while_writing_leaves_the_old_file(folder):
    write(folder, "a", b"old")
    for name in ("a", "new"):
        with suppress(RuntimeError), folder.write(name) as file:
            file.write(b"half")
            raise RuntimeError
    assert folder.names() == {"a"}
    assert read_file(folder, "a") == b"old"


def test_uploads_are_copies(folder, tmp_path):
    (tmp_path / "source").write_bytes(b"data")
    upload(tmp_path / "source", folder, "target")
    assert read_file(folder, "target") == b"data"


def test_an_unreachable_store_is_an_os_error(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setattr(paths, "RETRY_SECONDS", 1)
    paths.connect.cache_clear()
    for use in (RemoteFolder.names, RemoteFolder.clear, lambda folder: write(folder, "a", b"")):
        with pytest.raises(OSError, match="s3://bucket"):
            use(RemoteFolder("s3://bucket/folder"))
    paths.connect.cache_clear()


def test_names_of_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert open_folder("a/b") == LocalFolder(tmp_path / "a" / "b")
    assert str(open_folder("gs://bucket/a/") / "b") == "gs://bucket/a/b"
    with pytest.raises(InputError):
        open_folder("http://host/a")


def test_local_folders_do_not_import_pyarrow():
    code = """
import sys
from codex_jax.storage.remote_files import open_folder
open_folder("x").names()
print("pyarrow" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
