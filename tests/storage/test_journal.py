import io

import pytest

from codex_jax.errors import InputError
from codex_jax.storage.journal import Journal, complete_lines, open_journal

HEADER = {"samples": "s1", "problems": "p1"}


def write(path, *rows, header=HEADER):
    with open_journal(path, header) as journal:
        for row in rows:
            journal.append(row)


def read(path, header=HEADER):
    with open_journal(path, header) as journal:
        return journal.rows


def test_appended_rows_are_read_when_opened_again(tmp_path):
    path = tmp_path / "j"
    write(path, {"index": 0}, {"index": 1, "text": "\u2028\n"})
    assert read(path) == [{"index": 0}, {"index": 1, "text": "\u2028\n"}]


def test_a_row_is_in_the_file_when_append_returns(tmp_path):
    path = tmp_path / "j"
    with open_journal(path, HEADER) as journal:
        journal.append({"index": 0})
        assert path.read_bytes() == b'{"samples": "s1", "problems": "p1"}\n{"index": 0}\n'


def test_a_journal_cut_anywhere_keeps_its_complete_rows(tmp_path):
    path = tmp_path / "j"
    write(path, {"index": 0}, {"index": 1})
    data = path.read_bytes()
    starts = [len(line) for line in data.splitlines(keepends=True)]
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        complete = (cut >= sum(starts[:2])) + (cut >= sum(starts))
        assert read(path) == [{"index": 0}, {"index": 1}][:complete]
        write(path, {"index": 7})
        assert read(path) == [*[{"index": 0}, {"index": 1}][:complete], {"index": 7}]


def test_a_journal_of_another_run_is_refused_and_kept(tmp_path):
    path = tmp_path / "j"
    write(path, {"index": 0})
    with pytest.raises(InputError, match="belongs to a run with other problems: delete it"):
        read(path, {**HEADER, "problems": "p2"})
    with pytest.raises(InputError, match="other samples and problems"):
        read(path, {"samples": "s2", "problems": "p2"})
    with pytest.raises(InputError, match="belongs to a run with other samples: "):
        read(path, {"problems": "p1"})
    with pytest.raises(InputError, match="belongs to a run with other packages: "):
        read(path, {**HEADER, "packages": ["numpy"]})
    assert read(path) == [{"index": 0}]


def test_a_file_that_is_not_a_journal_is_refused(tmp_path):
    path = tmp_path / "j"
    for text in ("notes without an end", "notes\n", "[]\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="belongs to a run with other samples and problems"):
            read(path)


def test_a_broken_line_is_named(tmp_path):
    path = tmp_path / "j"
    write(path)
    for number in (2, 3):
        path.write_bytes(path.read_bytes() + b"{\n")
        with pytest.raises(InputError, match=f"j line {number}: not JSON"):
            read(path)
        path.write_bytes(path.read_bytes().removesuffix(b"{\n") + b"{}\n")


def test_a_journal_in_use_is_refused(tmp_path):
    path = tmp_path / "j"
    with open_journal(path, HEADER), pytest.raises(InputError, match="in use by another process"):
        read(path)


def test_a_full_disk_is_an_input_error(tmp_path):
    class Full(io.BytesIO):
        def write(self, data):
            return len(data) - 1

    with pytest.raises(InputError, match="cannot write x: No space left on device"):
        Journal("x", Full(), []).append({"index": 0})
    with pytest.raises(InputError, match="cannot write"):
        read(tmp_path / "none/j")


def test_complete_lines():
    assert complete_lines(b"") == []
    assert complete_lines(b"a") == []
    assert complete_lines(b"a\nb\n\nc") == [b"a\n", b"b\n", b"\n"]
