import json

import pytest

from codex_jax.errors import InputError
from codex_jax.runs.metrics import open_metrics, read_metrics


def log(folder, resume_step, *steps, loss=1.0):
    with open_metrics(folder, resume_step) as write:
        for step in steps:
            write(step, loss=loss)


def test_each_line_is_one_object(tmp_path):
    with open_metrics(tmp_path, 0) as write:
        write(1, loss=0.5, tokens=3.0)
        assert json.loads((tmp_path / "metrics.jsonl").read_text()) == {"step": 1, "loss": 0.5, "tokens": 3.0}
        write(2)
    assert read_metrics(tmp_path) == [{"step": 1, "loss": 0.5, "tokens": 3.0}, {"step": 2}]
    assert list((tmp_path / "events").iterdir())


def test_resuming_drops_later_steps_and_an_incomplete_line(tmp_path):
    log(tmp_path, 0, 0, 1, 2, 3, 4)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "lo')
    assert [row["step"] for row in read_metrics(tmp_path)] == [0, 1, 2, 3, 4]
    log(tmp_path, 2, 3, loss=7.0)
    assert read_metrics(tmp_path) == [*({"step": step, "loss": 1.0} for step in (0, 1, 2)), {"step": 3, "loss": 7.0}]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["events", "metrics.jsonl"]


def test_a_damaged_line_does_not_stop_a_run_from_resuming(tmp_path):
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n\x00\xff\n[2]\n{"loss": 3}\n{"step": 2}\n')
    with pytest.raises(InputError, match=r"metrics.jsonl line 2: not JSON"):
        read_metrics(tmp_path)
    log(tmp_path, 2)
    assert (tmp_path / "metrics.jsonl").read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_a_new_run_begins_a_new_file(tmp_path):
    log(tmp_path, 0, 1, 2)
    log(tmp_path, 0, 5)
    assert [row["step"] for row in read_metrics(tmp_path)] == [5]


def test_an_inactive_process_writes_nothing(tmp_path):
    with open_metrics(tmp_path, 0, active=False) as write:
        write(1, loss=1.0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InputError, match=r"cannot read .*metrics.jsonl"):
        read_metrics(tmp_path)


def test_a_full_disk_is_one_warning_and_the_lines_wait_for_space(tmp_path, capsys, monkeypatch):
    free = [3]

    def append(file, data):
        if not free[0]:
            raise OSError(28, "No space left on device")
        free[0] -= 1
        file.write(data)

    monkeypatch.setattr("codex_jax.runs.metrics.append_whole", append)
    with open_metrics(tmp_path, 0) as write:
        for step in range(1, 8):
            write(step, loss=0.5)
        assert [row["step"] for row in read_metrics(tmp_path)] == [1, 2, 3]
        free[0] = 9
        write(8, loss=0.5)
    assert [row["step"] for row in read_metrics(tmp_path)] == [*range(1, 9)]
    warning = capsys.readouterr().err
    assert warning.count("\n") == 1
    assert "No space left on device; training goes on" in warning
