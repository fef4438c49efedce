import pyarrow
import pytest
from pyarrow.parquet import write_table

from codex_jax.errors import InputError
from codex_jax.sources import parquet
from codex_jax.sources.source import parts
from codex_jax.text.document import Document, Rejected

from .reading import read


def write(file, row_group_size=None, **columns):
    file.parent.mkdir(parents=True, exist_ok=True)
    write_table(pyarrow.table(columns), file, row_group_size=row_group_size, compression="snappy")


def test_the_columns_of_the_stack_are_read_by_default(tmp_path):
    write(
        tmp_path / "d.parquet",
        content=["x = 1\n", None, "y = 2\n"],
        max_stars_repo_name=["o/n", "o/n", None],
        max_stars_repo_path=["a.py", "b.py", None],
        max_stars_repo_licenses=[["MIT", "Apache-2.0"], [], None],
        path=["wrong"] * 3,
        size=[1, 2, 3],
    )
    assert read(f"parquet:{tmp_path}/d.parquet") == [
        Document("d.parquet:0", "o/n", "a.py", "x = 1\n", license="MIT,Apache-2.0"),
        Rejected("d.parquet:1", "missing_text"),
        Document("d.parquet:2", "d.parquet:2", "d.parquet:2", "y = 2\n"),
    ]


def test_default_and_given_columns(tmp_path):
    write(tmp_path / "a.parquet", content=["x"], repo_name=["r"], path=["p"], license=["MIT"])
    assert read(f"parquet:{tmp_path}/a.parquet") == [Document("a.parquet:0", "r", "p", "x", license="MIT")]
    write(tmp_path / "b.parquet", code=["x"], who=[7], where=["p"], path=["q"], license=["MIT"])
    (item,) = read(f"parquet:{tmp_path}/b.parquet?text=code&repo=who&path=where&license=")
    assert item == Document("b.parquet:0", "7", "p", "x")
    write(tmp_path / "c.parquet", content=["x"])
    assert read(f"parquet:{tmp_path}/c.parquet") == [Document("c.parquet:0", "c.parquet:0", "c.parquet:0", "x")]


def test_types_of_text_columns(tmp_path):
    latin = b"# coding: latin-1\nx = '\xe9'\n"
    write(tmp_path / "a.parquet", content=pyarrow.array([latin, b"\xff", None], pyarrow.binary()))
    bytes_ = read(f"parquet:{tmp_path}/a.parquet")
    assert bytes_[0].text == "# coding: latin-1\nx = 'é'\n"
    assert bytes_[1:] == [Rejected("a.parquet:1", "not_decodable"), Rejected("a.parquet:2", "missing_text")]
    dictionary = pyarrow.dictionary(pyarrow.int32(), pyarrow.string())
    views = pyarrow.string_view(), pyarrow.binary_view()
    for kind in (pyarrow.large_string(), pyarrow.large_binary(), *views, dictionary):
        write(tmp_path / "b.parquet", content=pyarrow.array(["x"], pyarrow.string()).cast(kind))
        assert [item.text for item in read(f"parquet:{tmp_path}/b.parquet")] == ["x"]
    broken = pyarrow.Array.from_buffers(
        pyarrow.string(), 1, [None, pyarrow.py_buffer(b"\0\0\0\0\1\0\0\0"), pyarrow.py_buffer(b"\xff")]
    )
    write(tmp_path / "c.parquet", content=broken)
    assert read(f"parquet:{tmp_path}/c.parquet") == [Rejected("c.parquet:0", "not_decodable")]


def test_parts_are_row_groups_and_items_do_not_depend_on_them(tmp_path, monkeypatch):
    texts = [f"x = {number}\n" * 50 for number in range(1000)]
    write(tmp_path / "d.parquet", row_group_size=100, content=texts, repo_name=list(map(str, range(1000))))
    (one,) = parts(f"parquet:{tmp_path}/d.parquet")
    assert (one.name, [item.text for item in one.documents()]) == ("parquet:d.parquet@0-10", texts)
    monkeypatch.setattr(parquet, "PART_BYTES", int(one.size / 10 * 2.5))
    names = [part.name for part in parts(f"parquet:{tmp_path}/d.parquet")]
    assert names[:2] == ["parquet:d.parquet@0-3", "parquet:d.parquet@3-6"]
    assert read(f"parquet:{tmp_path}/d.parquet") == list(one.documents())


def test_folders_and_globs(tmp_path):
    for name in ("a.parquet", "b/a.parquet"):
        write(tmp_path / name, content=["x"])
    ids = ["a.parquet:0", "b/a.parquet:0"]
    assert [item.id for item in read(f"parquet:{tmp_path}")] == ids
    assert [item.id for item in read(f"parquet:{tmp_path}/**/*.parquet")] == ids


def test_an_empty_table(tmp_path):
    write(tmp_path / "a.parquet", content=pyarrow.array([], pyarrow.string()))
    assert read(f"parquet:{tmp_path}/a.parquet") == []


def test_bad_files_and_columns_are_refused(tmp_path):
    write(tmp_path / "a.parquet", code=["x"], size=[1])
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "cut.parquet").write_bytes(whole[:-20])
    (tmp_path / "text.parquet").write_bytes(b"not parquet")
    (tmp_path / "blank.parquet").write_bytes(b"")
    for spec, message in (
        ("none.parquet", "no file"),
        ("a.parquet", r"no column 'content': give \?text=COLUMN, one of code, size"),
        ("a.parquet?text=code&repo=r", r"no column 'r': give \?repo=COLUMN, one of code, size"),
        ("a.parquet?text=size", "column 'size' holds int64, not text"),
        ("a.parquet?column=code", "unknown column key"),
        ("cut.parquet", r"cannot read .*cut\.parquet as parquet"),
        ("text.parquet", "as parquet"),
        ("blank.parquet", "as parquet"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            parts(f"parquet:{tmp_path}/{spec}")
        assert "\n" not in str(caught.value)


def test_corrupt_pages_are_refused(tmp_path):
    write(tmp_path / "a.parquet", row_group_size=50, content=[f"x = {number**9}\n" * 20 for number in range(100)])
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    middle = len(data) // 2
    data[middle + 200 : middle + 1500] = b"\xff" * 1300
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"cannot read .*a\.parquet as parquet: .*: download it again") as caught:
        read(f"parquet:{tmp_path}/a.parquet")
    assert "\n" not in str(caught.value)
