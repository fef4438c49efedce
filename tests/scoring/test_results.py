import json
from pathlib import Path

import pytest

from codex_jax.errors import InputError
from codex_jax.problems.task import Part, Task
from codex_jax.scoring.judge import Judgement
from codex_jax.scoring.results import (
    Journal,
    check_held,
    check_place,
    forget,
    open_journal,
    result_row,
    write_results,
)

IDENTITY = {"samples": "s", "problems": "p", "timeout": 3.0}
PASSED, FAILED = Judgement("passed", {"test": "passed"}), Judgement("failed: X", {"test": "failed: X"})


def test_what_was_added_is_there_again(tmp_path):
    out = tmp_path / "r.jsonl"
    with open_journal(out, IDENTITY, 3) as journal:
        assert journal.done == {}
        journal.add(2, PASSED)
        journal.add(0, FAILED)
    with (tmp_path / "r.jsonl.partial").open("a") as file:
        file.write('{"index": 1, "resu')  # killed here
    with open_journal(out, IDENTITY, 3) as journal:
        assert journal.done == {2: PASSED, 0: FAILED}
        journal.add(1, PASSED)
        with pytest.raises(InputError, match="another run"), open_journal(out, IDENTITY, 3):
            pass
    assert not out.exists()
    with open_journal(out, IDENTITY, 3) as journal:
        assert len(journal.done) == 3
        write_results(out, [{"a": 1}])
    forget(out)
    assert [path.name for path in tmp_path.iterdir()] == ["r.jsonl"]


@pytest.mark.parametrize(("name", "value"), [("samples", "t"), ("problems", "q"), ("timeout", 4.0)])
def test_another_run_s_journal_is_refused(tmp_path, name, value):
    with open_journal(tmp_path / "r.jsonl", IDENTITY, 3) as journal:
        journal.add(0, PASSED)
    before = (tmp_path / "r.jsonl.partial").read_bytes()
    with pytest.raises(InputError, match=f"a run with other {name}"):  # noqa: SIM117
        with open_journal(tmp_path / "r.jsonl", {**IDENTITY, name: value}, 3):
            pass
    assert (tmp_path / "r.jsonl.partial").read_bytes() == before


@pytest.mark.parametrize(
    "line",
    ["{", '{"index": 3, "result": "passed", "parts": {}}', '{"index": 0, "result": 1, "parts": {}}', "[]", "null"],
)
def test_a_damaged_journal_is_refused(tmp_path, line):
    path = tmp_path / "r.jsonl.partial"
    path.write_text(json.dumps(IDENTITY) + "\n" + line + "\n")
    with pytest.raises(InputError, match="line 2 is no verdict"), open_journal(tmp_path / "r.jsonl", IDENTITY, 3):
        pass
    for text in ("something else\n", "something else", "one\ntwo"):
        path.write_text(text)
        with pytest.raises(InputError, match="take it away"), open_journal(tmp_path / "r.jsonl", IDENTITY, 3):
            pass
        assert path.read_text() == text
    for text in ("", json.dumps(IDENTITY)[:9], json.dumps(IDENTITY)):  # killed at once
        path.write_text(text)
        with open_journal(tmp_path / "r.jsonl", IDENTITY, 3) as journal:
            assert journal.done == {}
        assert path.read_text() == json.dumps(IDENTITY) + "\n"


def test_a_full_disk_is_one_line():
    with open("/dev/full", "ab", buffering=0) as full:
        journal = Journal(Path("r.jsonl.partial"), full, {})
        with pytest.raises(InputError, match=r"cannot write r\.jsonl\.partial: No space left"):
            journal.add(0, PASSED)


def test_where_nothing_can_be_written():
    with pytest.raises(InputError, match="cannot write"), open_journal(Path("/proc/none/r.jsonl"), IDENTITY, 3):
        pass


def test_rows_have_human_eval_s_fields():
    task = Task("t/0", "", "f", (Part("test", ()),), opening="def f():\n", group="interview", blocks=2)
    row = result_row({"task_id": "t/0", "completion": "x", "mean_logp": -1.0}, task, PASSED)
    assert row == {
        "task_id": "t/0",
        "completion": "x",
        "mean_logp": -1.0,
        "result": "passed",
        "passed": True,
        "group": "interview",
        "blocks": 2,
    }
    judgement = Judgement("timed out", {"base": "passed", "plus": "timed out"})
    forged = {
        "task_id": "t/0",
        "completion": "x",
        "parts": {"examples": "passed"},
        "group": "y",
        "blocks": 3,
        "passed": 1,
    }
    assert result_row(forged, Task("t/0", "", "f", ()), FAILED) == {
        "task_id": "t/0",
        "completion": "x",
        "result": "failed: X",
        "passed": False,
    }
    row = result_row({"task_id": "t/0", "solution": "def f():\n    return 1\n"}, task, judgement)
    assert (row["completion"], row["passed"], row["parts"]) == ("    return 1\n", False, judgement.parts)


def test_the_results_go_where_they_replace_nothing(tmp_path):
    samples, out = tmp_path / "s.jsonl", tmp_path / "r.jsonl"
    samples.write_text('{"task_id": "t", "completion": "x"}\n')
    (tmp_path / "link").symlink_to(samples)
    (tmp_path / "hard").hardlink_to(samples)
    check_place(out, [samples])
    for place in (samples, tmp_path / "link", tmp_path / "hard", tmp_path / "." / "s.jsonl"):
        with pytest.raises(InputError, match="would replace"):
            check_place(place, [samples])
    rows = [{"task_id": "t", "completion": "x"}]
    check_held(out, rows)
    out.write_text('{"task_id": "t", "completion": "x", "result": "passed", "passed": true}\n')
    check_held(out, rows)
    for text in ("notes\n", '{"task_id": "t", "completion": "y"}\n', ""):
        out.write_text(text)
        with pytest.raises(InputError, match="does not hold results of these samples"):
            check_held(out, rows)
