from codex_jax.training import clock as clocks
from codex_jax.training.clock import Clock, process_age


class Time:
    """A clock that is set by hand."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        return self.now


def test_every_second_belongs_to_one_phase(monkeypatch):
    time = Time()
    monkeypatch.setattr(clocks, "time", time)
    clock = Clock(age=5)

    def pass_time(seconds):
        time.now += seconds
        return seconds

    compiled = clock.compiling(pass_time)
    assert [compiled(7), compiled(1), compiled(2)] == [7, 1, 2]
    evaluate = clock.timed("evaluate", pass_time)
    evaluate(3)
    evaluate(4)
    items = clock.waiting(pass_time(seconds) for seconds in (0.5, 0.25))
    assert [pass_time(item) for item in items] == [0.5, 0.25]
    expected = {"start": 5, "compile": 7, "evaluate": 7, "data": 0.75, "steps": 3.75, "total": 23.5}
    assert clock.seconds() == expected


def test_a_step_that_takes_more_than_5_times_the_median_is_a_stall(monkeypatch):
    time = Time()
    monkeypatch.setattr(clocks, "time", time)
    clock = Clock()

    def step(seconds, evaluation=0):
        with clock.phase("evaluate"):
            time.now += evaluation
        time.now += seconds
        clock.finish_step()

    step(30)  # the first steps are unlike the others, and nothing is known yet
    for _ in range(19):
        step(2)
    step(9)
    assert "stalls" not in clock.seconds()
    step(2, evaluation=100)
    assert "stalls" not in clock.seconds()
    step(14)
    step(2)
    expected = {"start": 0, "evaluate": 100, "stalls": 12, "steps": 30 + 19 * 2 + 9 + 2 + 2 + 2, "total": 195}
    assert clock.seconds() == expected


def test_the_age_of_this_process():
    assert 0 < process_age() < 1e6
