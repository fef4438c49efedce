import gzip

import pytest

from codex_jax.errors import InputError
from codex_jax.storage.jsonl import parse, read_lines, read_objects, write_objects


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
