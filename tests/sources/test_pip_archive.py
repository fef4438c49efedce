import gzip

import pytest

from codex_jax.errors import InputError
from codex_jax.sources.pypi import download_sdist

from .archive import tar_bytes
from .simple_index import simple_index


def archive(*members):
    return gzip.compress(tar_bytes([*members]))


def test_a_source_archive_is_downloaded_and_nothing_of_it_runs(tmp_path, monkeypatch):
    ran = tmp_path / "ran"
    evil = f"open({str(ran)!r}, 'w')\n".encode()
    build = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    archives = {
        "setup-1.0.tar.gz": archive(("setup-1.0/setup.py", evil)),
        "backend-1.0.tar.gz": archive(("backend-1.0/pyproject.toml", build), ("backend-1.0/backend.py", evil)),
        "backend-2.0.tar.gz": archive(("backend-2.0/pyproject.toml", build), ("backend-2.0/backend.py", evil)),
    }
    with simple_index(tmp_path / "index", archives, monkeypatch):
        for requirement, name in [("setup", "setup-1.0"), ("backend", "backend-2.0"), ("backend==1.0", "backend-1.0")]:
            (tmp_path / requirement).mkdir()
            path = download_sdist(requirement, tmp_path / requirement)
            assert path.name == f"{name}.tar.gz"
            assert path.read_bytes() == archives[path.name]
        (tmp_path / "out").mkdir()
        with pytest.raises(InputError, match="pip found no source archive: No matching distribution"):
            download_sdist("another", tmp_path / "out")
    assert not ran.exists()
