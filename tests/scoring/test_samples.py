import gzip
import json
import os

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.load import load_problems
from codex_jax.scoring.samples import digest, read_samples, temperature_of
from codex_jax.storage import jsonl


@pytest.fixture(scope="module")
def humaneval():
    return load_problems("humaneval")


ROW = {"task_id": "HumanEval/0", "completion": "    return 0\n", "sample": 0}


def write(path, *rows):
    data = b"".join(row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows)
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


def test_completions_and_solutions(tmp_path, humaneval):
    rows = [ROW, {**ROW, "sample": 1}, {"task_id": "HumanEval/1", "solution": "x = '\u2028'"}]
    for name in ("s.jsonl", "s.jsonl.gz"):
        assert read_samples(write(tmp_path / name, *rows), humaneval, False) == rows
    problem = humaneval.problems["HumanEval/0"]
    assert problem.program(rows[0]) == problem.prompt + "    return 0\n"
    assert humaneval.problems["HumanEval/1"].program(rows[2]) == rows[2]["solution"]


def test_evalplus_s_folders(tmp_path, humaneval):
    for name, texts in (("HumanEval_0", ("a", "b", *"c" * 9)), ("HumanEval_12", ("d",))):
        (tmp_path / name).mkdir()
        for number, text in enumerate(texts):
            (tmp_path / name / f"{number}.py").write_text(text)
    (tmp_path / "HumanEval_0" / "note.txt").write_text("not a sample")
    rows = read_samples(tmp_path, humaneval, False)
    assert [(row["task_id"], row["sample"]) for row in rows] == [
        *(("HumanEval/0", n) for n in range(11)),
        ("HumanEval/12", 0),
    ]
    assert [row["solution"] for row in rows[:2]] == ["a", "b"]
    (tmp_path / "Other_1").mkdir()
    (tmp_path / "Other_1" / "0.py").write_text("x")
    with pytest.raises(InputError, match=r"Other_1/0\.py: unknown task_id 'Other_1'"):
        read_samples(tmp_path, humaneval, False)
    assert read_samples(tmp_path, humaneval, True) == rows
    (tmp_path / "HumanEval_0" / "0.py").write_bytes(b"\xff")
    with pytest.raises(InputError, match=r"HumanEval_0/0\.py: cannot be read"):
        read_samples(tmp_path, humaneval, False)


def test_links_and_pipes_in_a_folder_are_not_read(tmp_path, humaneval, capsys):
    folder = tmp_path / "s" / "HumanEval_0"
    folder.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (folder / "0.py").write_bytes(b"\xef\xbb\xbfx = 1\r\n")
    (folder / "1.py").symlink_to(tmp_path / "secret")
    os.mkfifo(folder / "2.py")
    (folder / "3.py").mkdir()
    with (folder / "4.py").open("wb") as file:
        file.truncate((16 << 20) + 1)
    (tmp_path / "s" / "HumanEval_1").symlink_to(tmp_path)
    assert [row["solution"] for row in read_samples(tmp_path / "s", humaneval, True)] == ["x = 1\n"]
    err = capsys.readouterr().err
    for reason in ("1.py skipped: cannot be read (it is a link)", "2.py skipped: cannot be read (it is not a regular"):
        assert reason in err
    assert "3.py skipped: cannot be read" in err
    assert "4.py skipped: is longer than 16 MiB" in err
    assert "HumanEval_1 skipped: it is a link" in err
    assert "secret" not in err


BAD = [
    (b"{\n", "not JSON"),
    (b"[1]\n", "not an object"),
    (b'{"task_id": "HumanEval/0", "completion": "\xff"}\n', "not UTF-8"),
    (b"[" * 100_000 + b"\n", "not JSON"),
    ({"completion": ""}, "'task_id' is missing"),
    ({"task_id": 3, "completion": ""}, "'task_id' is missing or not text"),
    ({"task_id": "HumanEval/0"}, "'completion' is missing"),
    ({"task_id": "HumanEval/0", "completion": None}, "'completion' is missing or not text"),
    ({"task_id": "HumanEval/0", "solution": 3}, "'solution' is missing or not text"),
    ({"task_id": "HumanEval/164", "completion": ""}, "unknown task_id 'HumanEval/164'"),
    (
        {"task_id": "MBPP/11", "completion": ""},
        "is it from another benchmark\\? The first of this one is 'HumanEval/0'",
    ),
    (ROW, "sample 0 of 'HumanEval/0' occurs twice, first at .* line 1"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_bad_lines_have_a_number_and_a_reason(tmp_path, humaneval, capsys, bad, message):
    path = write(tmp_path / "s.jsonl", ROW, b"\n", bad, {**ROW, "sample": 2})
    with pytest.raises(InputError, match=f"line 3: .*{message}") as caught:
        read_samples(path, humaneval, False)
    assert "\n" not in str(caught.value)
    assert [row["sample"] for row in read_samples(path, humaneval, True)] == [0, 2]
    assert "line 3 skipped: " in capsys.readouterr().err


def test_seeds_in_one_file_are_told_apart(tmp_path, humaneval):
    plain = {"task_id": "HumanEval/0", "completion": ""}
    marked = {**ROW, "fingerprint": "aa"}
    for rows in (
        [plain, plain],  # without numbers, equal samples may be several
        [{**ROW, "temperature": 0.2}, {**ROW, "temperature": 0.8}],
        [ROW, {**ROW, "completion": "    return 1\n"}],
        [marked, {**marked, "fingerprint": "bb"}],
        [ROW, marked],
    ):
        assert read_samples(write(tmp_path / "s.jsonl", *rows), humaneval, False) == rows
    for row, again in (
        (ROW, dict(reversed(ROW.items()))),
        (marked, marked),
        (marked, {**marked, "completion": "    return 1\n"}),  # a seed has one sample of each number
    ):
        with pytest.raises(InputError, match=r"line 2: sample 0 of 'HumanEval/0' occurs twice, first at .* line 1"):
            read_samples(write(tmp_path / "s.jsonl", row, again), humaneval, False)


def test_a_line_that_is_too_long_is_bad_and_the_next_is_read(tmp_path, humaneval, monkeypatch, capsys):
    monkeypatch.setattr(jsonl, "MAX_LINE", 1 << 20)
    path = write(tmp_path / "s.jsonl.gz", ROW, b'{"task_id": "' + b"x" * (3 << 20) + b'"}\n', {**ROW, "sample": 1})
    with pytest.raises(InputError, match="line 2: longer than 1 MiB"):
        read_samples(path, humaneval, False)
    assert [row["sample"] for row in read_samples(path, humaneval, True)] == [0, 1]
    assert "line 2 skipped: longer than 1 MiB" in capsys.readouterr().err


def test_files_without_samples(tmp_path, humaneval):
    for path, message in (
        (write(tmp_path / "empty.jsonl"), "holds no samples"),
        (write(tmp_path / "empty.jsonl.gz"), "holds no samples"),
        (tmp_path / "none.jsonl", "no samples file"),
        (tmp_path, "holds no samples"),
    ):
        with pytest.raises(InputError, match=message):
            read_samples(path, humaneval, True)
    cut = write(tmp_path / "cut.jsonl.gz", *[{**ROW, "sample": n} for n in range(1000)])
    cut.write_bytes(cut.read_bytes()[:-9])
    with pytest.raises(InputError, match="cannot read"):
        read_samples(cut, humaneval, True)


def test_temperatures(tmp_path):
    assert temperature_of([ROW], tmp_path) == ""
    assert temperature_of([{**ROW, "temperature": 0.2}, ROW], tmp_path) == "0.2"
    assert temperature_of([{**ROW, "temperature": 1}, {**ROW, "temperature": 1.0}], tmp_path) == "1.0"
    with pytest.raises(InputError, match=r"temperatures 0\.2, 0\.8"):
        temperature_of([{**ROW, "temperature": 0.2}, {**ROW, "temperature": 0.8}], tmp_path)


def test_the_digest_depends_on_the_samples_and_their_order():
    one, two = ROW, {**ROW, "sample": 1}
    assert digest([one, two]) == digest([dict(one), dict(two)])
    assert len({digest(rows) for rows in ([one], [one, two], [two, one], [])}) == 4
