import _thread
import threading
import time

import pytest

from codex_jax.config import ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.planning import search as module
from codex_jax.planning.compiling import Job
from codex_jax.planning.search import rank, search

MODEL = ModelConfig(layers=2, width=256, heads=2, context=256, vocab_size=512, compute_dtype="bfloat16")
JOB = Job(TrainConfig(model=MODEL, batch_size=16), 256)


def row(peak, seconds, fits=True):
    return {"fits": fits, "peak_bytes": peak, "hbm_bytes": 100, "step_seconds": seconds}


def test_roomy_ones_come_first_and_the_fastest_of_them_before_the_others():
    rows = [row(95, 1.0), row(50, 3.0), row(200, None, fits=False), row(70, 2.0), row(85, 0.5)]
    assert [one["peak_bytes"] for one in rank(rows, 0.2)] == [70, 50, 85, 95, 200]


def plans(monkeypatch, outcomes):
    made = iter(outcomes)

    def plan(job, topology):
        outcome = next(made)
        if isinstance(outcome, BaseException):
            raise outcome
        return row(*outcome) | {"mfu": 0.5}

    monkeypatch.setattr(module, "plan", plan)


def test_a_failed_compile_is_a_row(monkeypatch):
    plans(monkeypatch, [(50, 2.0), ValueError("the compiler refused this step"), (60, 1.0)])
    notes = []
    rows, interrupted = search(JOB, "v5e:2x2", 3, 0.2, False, lambda n, note: notes.append(note))
    assert not interrupted
    assert [one["step_seconds"] for one in rows] == [1.0, 2.0, None]
    assert "refused" in rows[-1]["error"]
    assert len(notes) == 4


def test_an_interrupted_search_hands_back_what_it_has(monkeypatch):
    plans(monkeypatch, [(50, 2.0), KeyboardInterrupt(), (60, 1.0)])
    rows, interrupted = search(JOB, "v5e:2x2", 3, 0.2, False, lambda n, note: None)
    assert interrupted
    assert [one["step_seconds"] for one in rows] == [2.0]


def test_ctrl_c_is_heard_while_the_compiler_is_deaf(monkeypatch):
    over = threading.Event()
    monkeypatch.setattr(module, "plan", lambda job, topology: over.wait(60))
    timer = threading.Timer(1, _thread.interrupt_main)
    timer.start()
    began = time.monotonic()
    rows, interrupted = search(JOB, "v5e:2x2", 3, 0.2, False, lambda n, note: None)
    over.set()
    assert interrupted
    assert rows == []
    assert time.monotonic() - began < 20


def test_nothing_that_fits_is_said():
    huge = Job(TrainConfig(model=ModelConfig(layers=900, width=5120, heads=40, vocab_size=512), batch_size=16), 2048)
    with pytest.raises(InputError, match="nothing fits 4 chips of v5e:2x2"):
        search(huge, "v5e:2x2", 3, 0.2, False, lambda n, note: None)
