"""The checker: runs the benchmark's own test against a stand-in for the program's function, in another process."""

import builtins
import functools
import signal
from types import CodeType
from typing import Any

from codex_jax.sandbox.program import receive, send
from codex_jax.sandbox.wire import WireError, decode, encode

SHORTEST = 1e-6  # seconds that a timer can be set to
SHORT = 2048  # bytes of an answer
# What a test's own loop takes for its end: map(candidate, inputs) would stop early, and the rest not be checked.
ENDS = (StopIteration, StopAsyncIteration)


class ProgramError(BaseException):
    """The program stopped, or answered with something that is not plain data; no test's `except Exception` hides it."""


class Overdue(BaseException):
    """The check took longer than any may, or its program's answers take too long to read."""


def _overdue(_number: int, _frame: object) -> None:
    raise Overdue


def raise_when_overdue() -> None:
    """Once a process: from here on timers raise Overdue."""
    signal.signal(signal.SIGALRM, _overdue)
    signal.signal(signal.SIGVTALRM, _overdue)


class _Reader:
    """Reads values; seconds of our own CPU time that all may take, as a program may choose keys that all collide."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    def decode(self, data: bytes) -> Any:
        if len(data) < SHORT:  # too short to take long
            return decode(data)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._left)
        try:
            return decode(data)
        finally:
            self._left = max(SHORTEST, signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0])


def _answer(replies: int, reader: _Reader) -> tuple:
    try:
        message = reader.decode(receive(replies))
    except (EOFError, OSError):
        raise ProgramError("program ended") from None
    except (WireError, MemoryError) as error:
        raise ProgramError(str(error) or type(error).__name__) from None
    if type(message) is not tuple or not message:
        raise ProgramError("not an answer")
    if message[0] == "error" and len(message) == 3 and all(type(part) is str for part in message):
        kind, text = getattr(builtins, message[1], None), message[2][:200]
        if isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, ENDS):
            try:
                raised = kind(text)
            except TypeError:  # such as UnicodeDecodeError, which wants five arguments
                raise ProgramError(f"{message[1]}: {text}") from None
            raise raised
        raise ProgramError(f"{message[1][:200]}: {text}")
    return message


@functools.lru_cache(maxsize=256)  # more than HumanEval has
def _compiled(source: str) -> CodeType:
    return compile(source, "test.py", "exec")


def reason(error: BaseException) -> str:
    """An exception in a line, whatever its text is."""
    if isinstance(error, Overdue):
        return "timed out"
    try:
        text = " ".join(str(error)[:1000].split())[:200]
    except Exception:  # an integer of too many digits
        text = ""
    return f"failed: {type(error).__name__}" + (f": {text}" if text else "")


def run_test(setup: str, test: str, calls: int, replies: int, seconds: float) -> str:
    """Runs setup, then the test's check(candidate); returns "passed", "timed out" or "failed: REASON".

    seconds: of CPU time that reading the program's answers may take.
    """
    broken: list[BaseException] = []  # remembered, as a test may have a bare `except:`
    reader = _Reader(seconds)

    def call(args: tuple, kwargs: dict[str, Any]) -> Any:
        try:
            send(calls, encode((args, kwargs)))
        except OSError:
            raise ProgramError("program ended") from None
        message = _answer(replies, reader)
        if len(message) == 2 and message[0] == "value":
            return message[1]
        if len(message) == 2 and message[0] == "refused" and type(message[1]) is str:
            raise ProgramError(message[1][:200])
        raise ProgramError("not an answer")

    def candidate(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(args, kwargs)
        except (ProgramError, Overdue) as error:
            broken.append(error)
            raise

    try:
        scope: dict[str, Any] = {"__name__": "checker"}
        exec(_compiled(f"{setup}\n{test}"), scope)
        if _answer(replies, reader) != ("ready",):
            raise ProgramError("not an answer")
        scope["check"](candidate)
        if broken:
            raise broken[0]
    except BaseException as error:
        return reason(error)
    return "passed"
