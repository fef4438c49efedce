import math

from codex_jax.problems.compare import close, read

BIG = 12345678901234567890


def test_close_is_absolute_and_relative():
    assert close(1e9 + 1, 1e9, 0, 1e-8)
    assert not close(1e9 + 100, 1e9, 0, 1e-8)
    assert close(0.001, 0, 0.01, 0)
    assert not close(math.inf, -math.inf, 1, 1)
    assert not close(1.0, math.inf, 1, 1)


def test_long_integers_are_read():
    assert read("9" * 5000) == 10**5000 - 1
