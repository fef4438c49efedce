"""The checker: runs a test with a stand-in for the program's function, which runs in another process."""

import builtins
import functools
import signal
from types import CodeType
from typing import Any

from codex_jax.sandbox.check import PASSED
from codex_jax.sandbox.wire import WireError, decode, encode, receive, send

SHORTEST_TIMER = 1e-6  # seconds
SHORT_ANSWER = 2048  # bytes; reading one takes too little time to need a timer
# A test that loops over map(candidate, inputs) would take these for the end of the loop and skip the remaining inputs.
LOOP_ENDING = (StopIteration, StopAsyncIteration)


class ProgramError(BaseException):
    """The program ended or answered with something that is not plain data. A test's `except Exception` misses it."""


class CheckTimeout(BaseException):
    """The check ran past its wall-clock limit, or the program's answers took too long to read."""


def _raise_timeout(_number: int, _frame: object) -> None:
    raise CheckTimeout


def install_timers() -> None:
    """Makes the timers of this process raise CheckTimeout."""
    signal.signal(signal.SIGALRM, _raise_timeout)
    signal.signal(signal.SIGVTALRM, _raise_timeout)


class _AnswerDecoder:
    """Decodes answers within a limit on the checker's CPU time, as a program may choose keys that all collide."""

    def __init__(self, seconds: float) -> None:
        self._remaining = seconds  # for all answers together

    def decode(self, data: bytes) -> Any:
        if len(data) < SHORT_ANSWER:
            return decode(data)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._remaining)
        try:
            return decode(data)
        finally:
            self._remaining = max(SHORTEST_TIMER, signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0])


def _receive_answer(replies: int, decoder: _AnswerDecoder) -> tuple:
    """The program's next message; raises the exception that it describes, or ProgramError."""
    try:
        message = decoder.decode(receive(replies))
    except (EOFError, OSError):
        raise ProgramError("program ended") from None
    except (WireError, MemoryError) as error:
        raise ProgramError(str(error) or type(error).__name__) from None
    if type(message) is not tuple or not message:
        raise ProgramError("not an answer")
    if message[0] == "error" and len(message) == 3 and all(type(part) is str for part in message):
        cls, text = getattr(builtins, message[1], None), message[2][:200]
        if isinstance(cls, type) and issubclass(cls, Exception) and not issubclass(cls, LOOP_ENDING):
            try:
                exception = cls(text)
            except TypeError:  # some need other arguments, such as UnicodeDecodeError
                raise ProgramError(f"{message[1]}: {text}") from None
            raise exception
        raise ProgramError(f"{message[1][:200]}: {text}")
    return message


@functools.lru_cache(maxsize=256)  # more than HumanEval has
def _compile(source: str) -> CodeType:
    return compile(source, "test.py", "exec")


def status_of(error: BaseException) -> str:
    """The status of a check that raised this: one line, whatever the text of the exception."""
    if isinstance(error, CheckTimeout):
        return "timed out"
    try:
        text = " ".join(str(error)[:1000].split())[:200]
    except Exception:  # such as an integer with too many digits
        text = ""
    return f"failed: {type(error).__name__}" + (f": {text}" if text else "")


def run_test(setup: str, test: str, calls: int, replies: int, seconds: float) -> str:
    """Runs setup, then the test's check(candidate); returns "passed", "timed out" or "failed: REASON".

    calls, replies: the pipes to and from the program; seconds: CPU time that reading its answers may take.
    """
    errors: list[BaseException] = []  # of the program, as a test may catch them with a bare `except:`
    decoder = _AnswerDecoder(seconds)

    def call(args: tuple, kwargs: dict[str, Any]) -> Any:
        try:
            send(calls, encode((args, kwargs)))
        except OSError:
            raise ProgramError("program ended") from None
        message = _receive_answer(replies, decoder)
        if len(message) == 2 and message[0] == "value":
            return message[1]
        if len(message) == 2 and message[0] == "refused" and type(message[1]) is str:
            raise ProgramError(message[1][:200])
        raise ProgramError("not an answer")

    def candidate(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(args, kwargs)
        except (ProgramError, CheckTimeout) as error:
            errors.append(error)
            raise

    try:
        scope: dict[str, Any] = {"__name__": "checker"}
        exec(_compile(f"{setup}\n{test}"), scope)
        if _receive_answer(replies, decoder) != ("ready",):
            raise ProgramError("not an answer")
        scope["check"](candidate)
        if errors:
            raise errors[0]
    except BaseException as error:
        return status_of(error)
    return PASSED
