import json

import pytest

from codex_jax.errors import InputError
from codex_jax.runs.history import History, open_history, read_history


def test_rows_are_added_and_read_again(tmp_path):
    assert read_history(tmp_path) == []
    with open_history(tmp_path) as history:
        history.add("started", 0, data="abc")
        history.add("stopped", 4, reason="SIGTERM")
        assert history.latest("data") == "abc"
        assert history.latest("nothing") is None
    rows = read_history(tmp_path)
    assert [(row["event"], row["step"]) for row in rows] == [("started", 0), ("stopped", 4)]
    with open_history(tmp_path) as history:
        assert history.rows == rows


def test_a_row_cut_short_by_a_kill_is_dropped(tmp_path):
    with open_history(tmp_path) as history:
        history.add("started", 0)
    path = tmp_path / "history.jsonl"
    path.write_bytes(path.read_bytes() + b'{"event": "resu')
    assert [row["event"] for row in read_history(tmp_path)] == ["started"]
    with open_history(tmp_path) as history:
        history.add("resumed", 2)
    assert [json.loads(line).get("event") for line in path.read_text().splitlines()] == [None, "started", "resumed"]


def test_only_one_process_opens_it(tmp_path):
    with open_history(tmp_path):
        second = open_history(tmp_path)
        with pytest.raises(InputError, match="in use by another process"):
            second.__enter__()


def test_other_processes_of_a_run_keep_rows_in_memory():
    history = History([])
    history.add("started", 0, data="abc")
    assert history.latest("data") == "abc"
