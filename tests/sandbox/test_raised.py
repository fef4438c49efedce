import contextlib
import json
import unittest

import pytest

from codex_jax.sandbox.raised import Raised, describe_exception, rebuild_exception, simpler, was_swallowed


class Own(ValueError):
    def __init__(self, number):
        super().__init__(f"no {number}")
        self.number = number


def again(error, **scope):
    return rebuild_exception(describe_exception(error), scope)


@pytest.mark.parametrize(
    "error",
    [
        KeyError("a"),
        ValueError(),
        StopIteration(3),
        SystemExit(3),
        OSError(2, "no"),
        FileNotFoundError(2, "no", "name"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad"),
        ExceptionGroup("several", [ValueError(1), KeyError(2)]),
        SyntaxError("bad", ("f", 1, 2, "x", 1, 2)),
        KeyboardInterrupt(),
        AssertionError("x", [1]),
    ],
    ids=repr,
)
def test_python_s_exceptions_are_made_again(error):
    made = again(error)
    assert type(made) is type(error)
    assert (made.args, str(made)) == (error.args, str(error))
    for name in ("code", "value", "errno", "filename", "start", "object", "exceptions", "lineno"):
        assert getattr(made, name, None) == getattr(error, name, None)


def test_an_own_class_is_found_by_its_name():
    error = Own(3)
    error.add_note("a note")
    assert type(again(error, Own=Own)) is Own
    assert again(error, Own=Own).number == 3
    assert again(error, Own=Own).args == ("no 3",)
    assert again(error, Own=Own).__notes__ == ["a note"]
    assert type(again(error)) is ValueError
    assert type(again(error, Own=int)) is ValueError


def test_classes_of_loaded_standard_modules_are_found():
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads("{")
    made = again(caught.value)
    assert type(made) is json.JSONDecodeError
    assert made.pos == caught.value.pos


@pytest.mark.parametrize("scope", [{}, {"SkipTest": unittest.SkipTest}])
def test_no_exception_skips_a_test(scope):
    assert type(again(unittest.SkipTest("x"), **scope)) is Exception


def test_the_cause_is_kept():
    error = ValueError(1)
    error.__cause__ = KeyError(2)
    assert type(again(error).__cause__) is KeyError


@pytest.mark.parametrize(
    "raised",
    [
        Raised([], (), {}, None),
        Raised([["os", "system"]], (), {}, None),
        Raised([["builtins", "exit"]], (), {}, None),
        Raised([["builtins", "UnicodeDecodeError"]], (), {}, None),
        Raised([["builtins", "KeyError"]], (), 3, None),
        Raised([["builtins", "KeyError"]], (), {}, 3),
        Raised([["builtins", "KeyError"]], 3, {}, None),
    ],
    ids=str,
)
def test_what_is_no_exception_is_not_made(raised):
    with pytest.raises((ValueError, TypeError)):
        rebuild_exception(raised, {})


def test_the_last_resort_is_the_text():
    class Silent(ValueError):
        def __str__(self):
            raise RuntimeError

    assert [raised.arguments for raised in simpler(describe_exception(Own(3)), Own(3))][-1] == ("no 3",)
    *_, last = simpler(describe_exception(Silent()), Silent())
    assert last == Raised(last.names, ("",), {}, None)
    *_, last = simpler(describe_exception(UnicodeError("x" * 1000)), UnicodeError("x" * 1000))
    assert last.arguments == ("x" * 200,)


def outcome(use):
    """What becomes of a StopIteration that a function raises when it is used like this."""
    errors = []

    def candidate(_):
        errors.append(StopIteration())
        raise errors[-1]

    use(candidate)
    return was_swallowed(errors[0])


def caught(candidate):
    try:  # noqa: SIM105
        candidate(1)
    except StopIteration:
        pass


def suppressed(candidate):
    with contextlib.suppress(StopIteration):
        candidate(1)


def of_a_caller(candidate):
    def inner():
        candidate(1)

    try:  # noqa: SIM105
        inner()
    except StopIteration:
        pass


def of_a_next(candidate):
    try:  # noqa: SIM105
        next(map(candidate, [1]))
    except StopIteration:
        pass


@pytest.mark.parametrize("use", [caught, suppressed, of_a_caller, of_a_next])
def test_an_exception_that_a_test_handles_is_not_swallowed(use):
    assert not outcome(use)


def looped(candidate):
    for _ in map(candidate, [1]):
        pass


def looped_in_a_block(candidate):
    try:
        for _ in map(candidate, [1]):
            pass
    except StopIteration:
        pass


@pytest.mark.parametrize(
    "use",
    [
        looped,
        looped_in_a_block,
        lambda candidate: list(map(candidate, [1])),
        lambda candidate: all(map(candidate, [1])),
        lambda candidate: [*map(candidate, [1])],
        lambda candidate: [x for x in map(lambda y: candidate(y), [1])],  # noqa: C416, C417, PLW0108
        lambda candidate: next(map(candidate, [1]), None),
        lambda candidate: list(iter(lambda: candidate(1), 0)),
        lambda candidate: dict(zip(map(candidate, [1]), [2], strict=False)),
    ],
)
def test_an_exception_that_ends_a_loop_is_swallowed(use):
    assert outcome(use)
