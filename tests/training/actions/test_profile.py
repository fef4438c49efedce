import gzip
import json

import jax.numpy as jnp

from codex_jax.training.actions.profile import Profile
from codex_jax.training.loop import Step


def record(folder, numbers, count, start=0, stopped_at=0):
    profile = Profile(folder, start, count)
    for number in numbers:
        loss = jnp.arange(3.0).sum()
        profile(Step(number, number == numbers[-1], None, {"loss": loss}, "SIGTERM" if number == stopped_at else ""))
    return [*folder.rglob("*perfetto_trace.json.gz")]


def test_a_trace_of_some_steps_after_the_first_ones(tmp_path, capsys):
    (trace,) = record(tmp_path, range(11, 21), count=2, start=10)
    assert json.loads(gzip.decompress(trace.read_bytes()))
    assert capsys.readouterr().err == f"trace of steps 14 to 15: {trace}\n"
    assert [*tmp_path.rglob("*.xplane.pb")]


def test_a_run_that_ends_ends_the_trace(tmp_path, capsys):
    assert len(record(tmp_path / "stopped", range(1, 9), count=99, stopped_at=5)) == 1
    assert "steps 4 to 5" in capsys.readouterr().err
    assert record(tmp_path / "short", range(1, 3), count=2) == []
