import bz2
import gzip
import json

import pytest
import zstandard

from codex_jax.errors import InputError
from codex_jax.sources import jsonlines
from codex_jax.sources.source import parts
from codex_jax.storage import compressed, jsonl
from codex_jax.text.document import Document, Rejected

from .reading import documents, read

PACK = {"": bytes, ".gz": gzip.compress, ".zst": zstandard.ZstdCompressor().compress}
PROBLEM = json.dumps({"task_id": "t", "prompt": "def f():\n", "canonical_solution": "    return 1\n"})


def line(text, **more):
    return json.dumps({"content": text, **more}).encode()


@pytest.mark.parametrize("suffix", PACK)
def test_documents_and_bad_lines(tmp_path, suffix):
    lines = [
        json.dumps({"code": "x = 1\n", "r": "o/n", "path": "p.py", "license": ["MIT", "Apache-2.0"]}).encode(),
        b"{broken",
        b"[]",
        b"",
        b"[" * 100_000,
        b'{"code": null}',
        b'{"other": "x"}',
        b'{"code": 5}',
        b'{"code": "\xff"}',
        b'{"code": "\\ud800"}',
        b'{"code": "y = 2\\n", "r": 17, "license": null, "path": "a\\ud800.py"}\r',
        b'{"code": "z = 3\\n"}',
    ]
    name = f"c.jsonl{suffix}"
    (tmp_path / name).write_bytes(PACK[suffix](b"\n".join(lines)))
    items = read(f"jsonl:{tmp_path / name}?text=code&repo=r")
    starts = [sum(len(before) + 1 for before in lines[:index]) for index in range(len(lines))]
    ids = [f"{name}:{start}" for start, content in zip(starts, lines, strict=True) if content]
    malformed, missing, odd = "malformed_line", "missing_text", "not_decodable"
    assert items == [
        Document(ids[0], "o/n", "p.py", "x = 1\n", license="MIT,Apache-2.0"),
        *map(Rejected, ids[1:9], [malformed] * 3 + [missing] * 3 + [odd] * 2),
        Document(ids[9], "17", "a\\ud800.py", "y = 2\n"),
        Document(ids[10], ids[10], ids[10], "z = 3\n"),
    ]


@pytest.mark.parametrize("size", [1, 2, 7, 30, 31, 64, 1000])
def test_items_do_not_depend_on_the_parts(tmp_path, monkeypatch, size):
    lines = [line(f"x = {number}\n" * number) for number in range(12)]
    (tmp_path / "c.jsonl").write_bytes(b"\xef\xbb\xbf" + b"\n".join(lines) + b"\n")
    whole = read(f"jsonl:{tmp_path}/c.jsonl")
    assert [item.text for item in whole] == [f"x = {number}\n" * number for number in range(12)]
    monkeypatch.setattr(jsonlines, "PART_BYTES", size)
    assert read(f"jsonl:{tmp_path}/c.jsonl") == whole
    total = (tmp_path / "c.jsonl").stat().st_size
    assert sum(part.size for part in parts(f"jsonl:{tmp_path}/c.jsonl")) == total


@pytest.mark.parametrize("size", [10, 1000])
def test_lines_longer_than_the_limit_are_rejected(tmp_path, monkeypatch, size):
    first, last = line("x = 1\n"), line("y = 2\n")
    long = line("z" * 500)
    monkeypatch.setattr(jsonlines, "MAX_LINE", 100)
    monkeypatch.setattr(jsonl, "SKIP_BYTES", 30)
    monkeypatch.setattr(jsonlines, "PART_BYTES", size)
    (tmp_path / "c.jsonl").write_bytes(b"\n".join([first, long, last]))
    by_id, reasons = documents(f"jsonl:{tmp_path}/c.jsonl")
    assert [document.text for document in by_id.values()] == ["x = 1\n", "y = 2\n"]
    assert reasons == {f"c.jsonl:{len(first) + 1}": "malformed_line"}
    (tmp_path / "c.jsonl").write_bytes(long)
    assert [item.reason for item in read(f"jsonl:{tmp_path}/c.jsonl")] == ["malformed_line"]


def test_folders_globs_and_links(tmp_path, monkeypatch):
    data = tmp_path / "data"
    (data / "b").mkdir(parents=True)
    (data / "a.jsonl").write_bytes(line("a"))
    (data / "b" / "c.json.gz").write_bytes(gzip.compress(line("c")))
    (data / "readme.md").write_bytes(b"no")
    (data / "b" / "loop").symlink_to(data)
    (data / "b" / "loop2").symlink_to(data)
    (tmp_path / "blob").write_bytes(line("d"))
    (data / "d.jsonl").symlink_to(tmp_path / "blob")
    (data / "same.jsonl").symlink_to(data / "a.jsonl")
    ids = ["a.jsonl:0", "b/c.json.gz:0", "d.jsonl:0"]
    assert [item.id for item in read(f"jsonl:{data}")] == ids
    assert [item.id for item in read(f"jsonl:{data}/**/*.json*")] == ids
    assert [item.id for item in read(f"jsonl:{data}/?.jsonl?text=content")] == [ids[0], ids[2]]
    monkeypatch.chdir(data)
    assert [item.id for item in read("jsonl:*.jsonl")] == [ids[0], ids[2]]
    assert [item.id for item in read("jsonl:b/c.json.gz")] == ["c.json.gz:0"]


def test_concatenated_frames_and_members(tmp_path):
    lines = [line("x" * 10_000 * number) + b"\n" for number in range(20)]
    skipped = b"\x50\x2a\x4d\x18\x04\x00\x00\x00abcd"
    (tmp_path / "c.jsonl.zst").write_bytes(skipped + b"".join(map(PACK[".zst"], lines)) + skipped)
    (tmp_path / "c.jsonl.gz").write_bytes(b"".join(map(gzip.compress, lines)))
    for suffix in ("zst", "gz"):
        items = read(f"jsonl:{tmp_path}/c.jsonl.{suffix}")
        assert [len(item.text) for item in items] == [10_000 * number for number in range(20)]


def test_compression_is_detected_from_the_content(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(gzip.compress(line("x")))
    (tmp_path / "d.data").write_bytes(bz2.compress(line("x")))
    assert len(read(f"jsonl:{tmp_path}/c.jsonl")) == len(read(f"jsonl:{tmp_path}/d.data")) == 1
    (tmp_path / "c.jsonl.gz").write_bytes(line("x"))
    with pytest.raises(InputError, match=r"c\.jsonl\.gz is not a gzip file"):
        parts(f"jsonl:{tmp_path}/c.jsonl.gz")
    (tmp_path / "c.jsonl.zst").write_bytes(b"")
    with pytest.raises(InputError, match=r"c\.jsonl\.zst is not a zstd file"):
        parts(f"jsonl:{tmp_path}/c.jsonl.zst")


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("fault", ["cut", "corrupt", "trailing"])
def test_a_damaged_file_is_named_with_the_offset(tmp_path, suffix, fault):
    lines = [line(f"x = {number**9}\n") + b"\n" for number in range(5000)]
    # Compressed in two halves, so that the first can be read whatever is wrong with the second.
    first, second = PACK[suffix](b"".join(lines[:100])), bytearray(PACK[suffix](b"".join(lines[100:])))
    if fault == "cut":
        del second[-12:]
    elif fault == "corrupt":
        second[40 : len(second) // 2] = bytes(len(second) // 2 - 40)
    else:
        second += b"garbage"
    path = tmp_path / f"c.jsonl{suffix}"
    path.write_bytes(first + second)
    (part,) = parts(f"jsonl:{path}")
    items = part.documents()
    assert [next(items).text for _ in range(100)] == [f"x = {number**9}\n" for number in range(100)]
    with pytest.raises(InputError, match=rf"cannot read .*c\.jsonl{suffix} after byte \d+ of its text: .+: download"):
        list(items)


def test_a_file_that_disappears_or_is_a_folder_is_refused(tmp_path, monkeypatch):
    (tmp_path / "c.jsonl").write_bytes(line("x"))
    (part,) = parts(f"jsonl:{tmp_path}/c.jsonl")
    (tmp_path / "c.jsonl").unlink()
    with pytest.raises(InputError, match=r"cannot read .*c\.jsonl"):
        list(part.documents())
    (tmp_path / "c.jsonl").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*c\.jsonl"):
        compressed.compression(tmp_path / "c.jsonl")


def test_bad_arguments(tmp_path):
    (tmp_path / "c.jsonl").write_bytes(b"")
    assert read(f"jsonl:{tmp_path}/c.jsonl") == []
    for spec, message in (
        ("jsonl:", "no file"),
        (f"jsonl:{tmp_path}/none.jsonl", "no file"),
        (f"jsonl:{tmp_path}/n*.jsonl", "no file"),
        (f"jsonl:{tmp_path}/c.jsonl?body=x", "unknown column key 'body': give text, repo, path, license"),
        (f"jsonl:{tmp_path}/c.jsonl?text=", "must name a column"),
    ):
        with pytest.raises(InputError, match=message):
            parts(spec)


@pytest.mark.parametrize("name", ["p.jsonl", "p.jsonl.gz"])
def test_problems_are_documents_with_prompts(tmp_path, name):
    data = PROBLEM.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith("gz") else data)
    assert read(f"problems:{tmp_path / name}") == [Document("t", "t", "t", "    return 1\n", "def f():\n")]


def test_bad_problem_files_are_refused(tmp_path):
    (tmp_path / "bad.jsonl").write_text(PROBLEM + "\n" + PROBLEM.replace('"t"', "5") + "\n")
    (tmp_path / "surrogate.jsonl").write_text(PROBLEM.replace('"t"', '"\\ud800"'))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(PROBLEM.encode() * 100)[:-12])
    for name, message in (
        ("none", "no problems file"),
        ("bad.jsonl", "line 2"),
        ("surrogate.jsonl", "not UTF-8"),
        ("cut.jsonl.gz", "cannot read"),
    ):
        with pytest.raises(InputError, match=message):
            read(f"problems:{tmp_path / name}")


def test_text_and_prompts_with_completions_are_accepted_as_they_are(tmp_path):
    rows = [
        {"text": "x = 1\n", "repo_name": "r"},
        {"prompt": "def f():\n", "completion": "    return 1\n"},
        {"prompt": "def f():\n"},
        {"prompt": 3, "completion": "x"},
        {"prompt": "\ud800", "completion": "x"},
        {"content": "y = 2\n", "text": "no", "prompt": "no", "completion": "no"},
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    items = read(f"jsonl:{tmp_path}/t.jsonl")
    shown = [(one.prompt, one.text) if isinstance(one, Document) else one.reason for one in items]
    assert shown == [
        ("", "x = 1\n"),
        ("def f():\n", "    return 1\n"),
        "missing_text",
        "missing_text",
        "not_decodable",
        ("", "y = 2\n"),
    ]
