import gzip
import json

import pytest

from codex_jax.errors import InputError
from codex_jax.text.sources import decode_python, read_source


def test_stdlib_is_by_package_and_without_tests():
    documents = [document for document in read_source("stdlib") if document]
    by_id = {document.id: document for document in documents}
    assert len(by_id) == len(documents) > 300
    assert by_id["json/decoder.py"].repo == "json"
    assert by_id["bisect.py"].repo == "bisect"
    assert not any("/test/" in f"/{name}" or "site-packages" in name for name in by_id)


def test_encoding_declarations_are_honoured():
    assert decode_python(b"# coding: latin-1\nx = '\xe9'\n") == "# coding: latin-1\nx = 'é'\n"
    assert decode_python("x = 'é'\n".encode()) == "x = 'é'\n"
    assert decode_python(b"\xef\xbb\xbfx = 1\n") == "x = 1\n"
    assert decode_python(b"x = '\xe9'\n") is None
    assert decode_python(b"# coding: nonsense\n") is None
    assert decode_python(b"# coding: utf-7\n+2AA-\n") is None  # a lone surrogate


def test_folder_skips_links_and_other_files(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.py").write_text("x = 1\n")
    (tmp_path / "a" / "x.txt").write_text("x = 1\n")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    (tmp_path / "a" / "y.py").symlink_to(tmp_path / "a" / "x.py")
    (document,) = read_source(f"dir:{tmp_path}")
    assert (document.id, document.repo, document.text) == ("a/x.py", "a", "x = 1\n")


@pytest.mark.parametrize("name", ["c.jsonl", "c.jsonl.gz"])
def test_json_lines(tmp_path, name):
    lines = [
        json.dumps({"code": "x = 1\n", "r": "o/n", "path": "p.py", "license": "MIT"}),
        "{broken",
        "[]",
        json.dumps({"code": None}),
        json.dumps({"code": "\ud800"}),
        json.dumps({"code": "y = 2\n"}),
    ]
    data = "\n".join(lines).encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    found = list(read_source(f"jsonl:{tmp_path}/{name}?text=code&repo=r"))
    assert [document is None for document in found] == [False, True, True, True, True, False]
    assert (found[0].repo, found[0].path, found[0].license) == ("o/n", "p.py", "MIT")
    assert found[5].repo == f"{name}:6"


def test_bad_sources(tmp_path):
    good = json.dumps({"task_id": "t", "prompt": "p", "canonical_solution": "s"})
    (tmp_path / "bad.jsonl").write_text(good + "\n" + good.replace('"s"', "5") + "\n")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(good.encode() * 100)[:-12])
    for spec, message in (
        ("nonsense", "unknown source"),
        (f"dir:{tmp_path}/none", "no folder"),
        (f"jsonl:{tmp_path}/none", "no file"),
        (f"jsonl:{tmp_path}/bad.jsonl?body=x", "no column"),
        (f"problems:{tmp_path}/none", "no problems file"),
        (f"problems:{tmp_path}/bad.jsonl", "line 2"),
        (f"problems:{tmp_path}/cut.jsonl.gz", "cannot read"),
    ):
        with pytest.raises(InputError, match=message):
            list(read_source(spec))
