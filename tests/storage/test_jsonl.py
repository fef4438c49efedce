import bz2
import gzip
import os
import subprocess
import sys

import pytest

from codex_jax.errors import InputError
from codex_jax.storage.jsonl import parse, read_json, read_lines, read_objects, write_objects


def test_written_rows_are_read_back(tmp_path):
    rows = [{"a": "x\n\u2028é"}, {"a": "", "n": [1, None]}]
    write_objects(tmp_path / "r.jsonl", iter(rows))
    assert list(read_objects(tmp_path / "r.jsonl", ["a"])) == rows
    (tmp_path / "r.jsonl.gz").write_bytes(gzip.compress((tmp_path / "r.jsonl").read_bytes()))
    assert list(read_objects(tmp_path / "r.jsonl.gz")) == rows
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.jsonl", "r.jsonl.gz"]


def test_an_error_while_writing_keeps_the_old_file(tmp_path):
    path = tmp_path / "r.jsonl"
    write_objects(path, [{"a": 1}])

    def rows():
        yield {"a": 2}
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_objects(path, rows())
    assert list(read_objects(path)) == [{"a": 1}]
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("3", "not an object"),
        ("{}", "'a' is missing"),
        ('{"a":1}', "text"),
    ],
)
def test_a_line_that_is_not_an_object_is_refused(line, reason):
    assert reason in parse(line, ["a"])[0]


def test_unreadable_files(tmp_path):
    with pytest.raises(InputError, match="no file"):
        list(read_lines(tmp_path / "none"))
    (tmp_path / "bad.jsonl").write_bytes(b'{}\n\n{"a": "\xff"}\n')
    with pytest.raises(InputError, match="cannot read"):
        list(read_lines(tmp_path / "bad.jsonl"))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(b"{}\n" * 1000)[:-9])
    with pytest.raises(InputError, match="cannot read"):
        list(read_lines(tmp_path / "cut.jsonl.gz"))


def test_a_byte_order_mark_is_left_out(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\xef\xbb\xbf{"a": 2}\n\xef\xbb\xbf\n')
    assert list(read_objects(tmp_path / "a.jsonl")) == [{"a": 1}, {"a": 2}]
    (tmp_path / "a.json").write_bytes(b"\xef\xbb\xbf[3]")
    assert read_json(tmp_path / "a.json") == [3]


def test_compressed_lines(tmp_path):
    (tmp_path / "a.jsonl.bz2").write_bytes(bz2.compress(b'{"a": 1}\n'))
    assert list(read_objects(tmp_path / "a.jsonl.bz2")) == [{"a": 1}]


def test_a_long_line_is_refused_before_it_is_in_memory(tmp_path):
    code = (
        "import resource; resource.setrlimit(resource.RLIMIT_DATA, (500 << 20, 500 << 20))\n"
        "from pathlib import Path\n"
        "from codex_jax.errors import InputError\n"
        "from codex_jax.storage.jsonl import read_objects\n"
        "rows = read_objects(Path('a.jsonl.gz'))\n"
        "assert next(rows) == {'a': 1}\n"
        "try:\n    next(rows)\nexcept InputError as error:\n    print(error)\n"
    )
    with gzip.open(tmp_path / "a.jsonl.gz", "wb", 1) as file:
        file.write(b'{"a": 1}\n{"a": "')
        for _ in range(400):
            file.write(b"x" * (1 << 20))
        file.write(b'"}\n{"a": 2}\n')
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=tmp_path, env={**os.environ})
    assert done.stdout == "cannot read a.jsonl.gz: line 2 is longer than 64 MiB\n"


def test_what_is_not_a_json_file(tmp_path):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"
    for data, message in (
        (pointer, "is a Git LFS pointer"),
        (b"[" * 100_000, "is broken: not JSON"),
        (b"\xff\xfe[\0]\0", "is broken: not JSON"),
    ):
        (tmp_path / "a.json").write_bytes(data)
        with pytest.raises(InputError, match=message):
            read_json(tmp_path / "a.json")
    (tmp_path / "a.jsonl").write_bytes(pointer)
    with pytest.raises(InputError, match="is a Git LFS pointer"):
        list(read_lines(tmp_path / "a.jsonl"))
    for path in (tmp_path, tmp_path / "none", os.devnull):
        for read in (read_json, lambda name: list(read_lines(name))):
            with pytest.raises(InputError, match=r"is not a file|no file|cannot read"):
                read(type(tmp_path)(path))
