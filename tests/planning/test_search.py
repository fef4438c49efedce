import _thread
import threading
from types import SimpleNamespace

import pytest

from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.planning import search as module
from codex_jax.planning.search import SearchSettings, Tried, rank, search
from codex_jax.planning.training_plan import Job

MODEL = ModelConfig(layers=2, width=256, heads=2, context=256, vocab_size=512, compute_dtype="bfloat16")
JOB = Job(TrainConfig(model=MODEL, batch_size=16), 256)


def no_report(count, note):
    pass


def plan_of(peak_bytes, step_seconds, fits=True):
    """The parts of a TrainingPlan that a search looks at."""
    speed = SimpleNamespace(step_seconds=step_seconds, mfu=0.5) if step_seconds else None
    json = {"fits": fits, "peak_bytes": peak_bytes, "step_seconds": step_seconds}
    return SimpleNamespace(fits=fits, peak_bytes=peak_bytes, hbm_bytes=100, speed=speed, to_json=lambda: json)


def test_roomy_plans_come_first_and_the_fastest_of_them_before_the_others():
    figures = [(95, 1.0), (50, 3.0), (200, None, False), (70, 2.0), (80, 2.5), (85, 0.5)]
    tried = [Tried(None, plan_of(*one)) for one in figures]
    assert [one.plan.peak_bytes for one in rank(tried, 0.2)] == [70, 80, 50, 85, 95, 200]
    failed = Tried(None, None, "refused")
    assert rank([failed, tried[0]], 0.2) == [tried[0], failed]


def fake_plans(monkeypatch, outcomes):
    outcomes = iter(outcomes)

    def plan_training(job, topology):
        outcome = next(outcomes)
        if isinstance(outcome, BaseException):
            raise outcome
        return plan_of(*outcome)

    monkeypatch.setattr(module, "plan_training", plan_training)


def test_a_failed_compilation_is_listed_with_its_error(monkeypatch):
    fake_plans(monkeypatch, [(50, 2.0), ValueError("the compiler refused\nthis step"), (60, 1.0)])
    notes = []
    tried, interrupted = search(JOB, "v5e:2x2", SearchSettings(compile=3), lambda n, note: notes.append((n, note)))
    assert not interrupted
    assert [one.to_json()["step_seconds"] for one in tried] == [1.0, 2.0, None]
    assert [count for count, _ in notes] == [0, 1, 1, 1]
    row = tried[-1].to_json()
    assert (row["fits"], row["step_seconds"], row["error"]) == (False, None, "the compiler refused this step")
    assert row["flags"]
    assert row["remat"] == tried[-1].candidate.config.model.remat
    assert row["estimated_bytes"] == tried[-1].candidate.memory.total
    assert tried[0].to_json()["peak_bytes"] == 60
    assert "error" not in tried[0].to_json()


def test_an_interrupted_search_returns_what_it_has(monkeypatch):
    fake_plans(monkeypatch, [(50, 2.0), KeyboardInterrupt(), (60, 1.0)])
    tried, interrupted = search(JOB, "v5e:2x2", SearchSettings(compile=3), no_report)
    assert interrupted
    assert [one.plan.speed.step_seconds for one in tried] == [2.0]


def test_ctrl_c_ends_the_wait_for_the_compiler(monkeypatch):
    over, compiled = threading.Event(), []

    def plan_training(job, topology):
        _thread.interrupt_main()
        over.wait(60)
        compiled.append(topology)

    monkeypatch.setattr(module, "plan_training", plan_training)
    tried, interrupted = search(JOB, "v5e:2x2", SearchSettings(), no_report)
    assert interrupted
    assert tried == compiled == []
    over.set()


def test_a_run_that_fits_in_no_way_is_refused():
    huge = Job(TrainConfig(model=ModelConfig(layers=900, width=5120, heads=40, vocab_size=512), batch_size=16), 2048)
    with pytest.raises(InputError, match="nothing fits 4 chips of v5e:2x2"):
        search(huge, "v5e:2x2", SearchSettings(), no_report)


@pytest.mark.parametrize("settings", [{"compile": 0}, {"free": 1.0}, {"free": -0.1}])
def test_settings_that_cannot_be_searched_with_are_refused(settings):
    with pytest.raises(InputError, match="--compile"):
        SearchSettings(**settings).check()
    SearchSettings(compile=1, free=0.0).check()
