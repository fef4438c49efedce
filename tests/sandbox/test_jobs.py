"""Jobs that run several checks, such as a sample with many tests."""

import threading

import pytest

from codex_jax.sandbox.pool import run_jobs
from tests.sandbox.checks import RIGHT, add_check

CHECK = add_check(RIGHT, cpu_seconds=20.0)


def test_a_job_may_run_any_number_of_checks():
    def job(count):
        return lambda run: [run(CHECK).status for _ in range(count)]

    assert dict(run_jobs([job(n) for n in (0, 1, 5)])) == {0: [], 1: ["passed"], 2: ["passed"] * 5}


def test_an_exception_in_a_job_reaches_the_caller():
    def job(run):
        raise KeyError(run(CHECK).status)

    with pytest.raises(KeyError, match="passed"):
        list(run_jobs([job] * 3, workers=2))


def test_closing_the_generator_stops_jobs():
    results, started = [], threading.Event()

    def long_job(run):
        for _ in range(1000):
            results.append(run(CHECK))
            started.set()

    answers = run_jobs([lambda run: started.wait(), long_job], workers=2)
    assert next(answers) == (0, True)
    answers.close()
    assert 1 <= len(results) < 1000
