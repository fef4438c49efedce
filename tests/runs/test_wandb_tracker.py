import sys
import types

import pytest

from codex_jax.errors import InputError
from codex_jax.runs import wandb_tracker
from codex_jax.runs.metrics import open_metrics
from codex_jax.runs.wandb_tracker import WandbTracker


class Service:
    """Stands for the package wandb, and for a run in it."""

    def __init__(self):
        self.calls = []

    def init(self, **options):
        self.calls.append(("init", options))
        return self

    def define_metric(self, *args, **options):
        self.calls.append(("define_metric", args, options))

    def log(self, row):
        if row.get("loss") == 0.0:
            raise RuntimeError("no\nnetwork")
        self.calls.append(("log", row))

    def finish(self):
        self.calls.append(("finish",))


@pytest.fixture
def service(monkeypatch):
    service = Service()
    monkeypatch.setitem(sys.modules, "wandb", service)
    return service


def test_rows_are_sent_with_their_steps_and_a_resumed_run_has_the_same_identifier(tmp_path, service):
    for step in (1, 2):
        tracker = WandbTracker("codex", tmp_path, {"steps": 3})
        with open_metrics(tmp_path, step - 1, more=[tracker]) as write:
            write(step, loss=2.0)
    inits = [call[1] for call in service.calls if call[0] == "init"]
    assert inits[0] == inits[1]
    assert inits[0]["settings"] == {"silent": True}
    assert (inits[0]["project"], inits[0]["resume"], inits[0]["config"]) == ("codex", "allow", {"steps": 3})
    assert [call[1] for call in service.calls if call[0] == "log"] == [{"step": n, "loss": 2.0} for n in (1, 2)]
    assert service.calls[-1] == ("finish",)


def test_a_failure_is_one_line_and_training_goes_on(tmp_path, service, capsys):
    with open_metrics(tmp_path, 0, more=[WandbTracker("codex", tmp_path, {})]) as write:
        for loss in (1.0, 0.0, 2.0):
            write(1, loss=loss)
    assert [call[1]["loss"] for call in service.calls if call[0] == "log"] == [1.0]
    assert (tmp_path / "metrics.jsonl").read_text().count("\n") == 3
    error = capsys.readouterr().err
    assert error.startswith("warning: Weights & Biases: RuntimeError: no network")
    assert error.count("\n") == 1


def test_a_missing_package_is_bad_input(monkeypatch):
    wandb_tracker.check("")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pip install wandb"):
        wandb_tracker.check("codex")
    monkeypatch.setattr("importlib.util.find_spec", types.ModuleType)
    wandb_tracker.check("codex")
