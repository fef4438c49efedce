import json

import pytest

from codex_jax import cli, watch
from codex_jax.config import TrainConfig
from codex_jax.runs.folder import write_config


@pytest.fixture
def run(tmp_path):
    write_config(tmp_path, TrainConfig(steps=1000))
    return tmp_path


def look(run, *flags):
    return cli.run(watch.main, watch.Args, [str(run), *flags])


def test_a_run_that_has_not_begun(run, capsys):
    assert look(run) == 0
    out = capsys.readouterr().out
    assert "step 0 of 1,000  no step is finished yet" in out
    assert "checkpoints: none" in out


def test_state_curves_and_events_are_shown_as_text(run, capsys):
    rows = [{"step": n, "loss": 5 - n / 100, "step_seconds": 2.0, "goodput": 0.5} for n in range(10, 110, 10)]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 110, "lo')
    (run / "history.jsonl").write_text('{"history": "codex_jax.train"}\n{"event": "spike\\u001b[2J", "step": 40}\n')
    (run / "checkpoints" / "100").mkdir(parents=True)
    assert look(run, "--once") == 0
    out = capsys.readouterr().out
    assert "step 100 of 1,000  1h00m left" in out  # 900 steps of 2 s, which take half of the time
    assert "loss 4.000" in out
    assert "checkpoints: 100" in out
    assert "⠁" in out
    assert "spike\\x1b[2J" in out


def test_bad_input_is_one_line(run, tmp_path, capsys):
    assert look(tmp_path / "none") == 2
    assert "is not a run folder" in capsys.readouterr().err
    assert look(run, "--every", "0") == 2
    assert "--every must be above 0" in capsys.readouterr().err
