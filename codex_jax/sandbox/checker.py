"""The checker runs a test with a proxy for the program's function, which runs in another process."""

import builtins
import functools
import signal
from types import CodeType
from typing import Any

from codex_jax.sandbox.check import PASSED
from codex_jax.sandbox.wire import WireError, decode, encode, receive, send

SHORTEST_TIMER = 1e-6  # seconds
SHORT_ANSWER = 2048  # bytes; a shorter answer decodes too quickly to need a timer
# These would end a test's loop over map(candidate, inputs) early, so that the remaining inputs are skipped.
LOOP_ENDING = (StopIteration, StopAsyncIteration)


class ProgramError(BaseException):
    """The program ended, or its answer is not plain data. A test's `except Exception` does not catch it."""


class CheckTimeout(BaseException):
    """The check ran past its wall-clock limit, or the program's answers took too long to decode."""


def _raise_timeout(_number: int, _frame: object) -> None:
    raise CheckTimeout


def install_timers() -> None:
    """Makes this process's timers raise CheckTimeout."""
    signal.signal(signal.SIGALRM, _raise_timeout)
    signal.signal(signal.SIGVTALRM, _raise_timeout)


class _AnswerDecoder:
    """Decodes answers with a limit on CPU time, because a hostile program may send a dict whose keys all collide."""

    def __init__(self, seconds: float) -> None:
        self._remaining = seconds  # CPU seconds left for all answers together

    def decode(self, data: bytes) -> Any:
        if len(data) < SHORT_ANSWER:
            return decode(data)
        signal.setitimer(signal.ITIMER_VIRTUAL, self._remaining)
        try:
            return decode(data)
        finally:
            self._remaining = max(SHORTEST_TIMER, signal.setitimer(signal.ITIMER_VIRTUAL, 0)[0])


def _receive_answer(replies: int, decoder: _AnswerDecoder) -> tuple:
    """Reads the program's next message. Raises the exception that it describes, or ProgramError if it is invalid."""
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
            except TypeError:  # some exceptions need other arguments, such as UnicodeDecodeError
                raise ProgramError(f"{message[1]}: {text}") from None
            raise exception
        raise ProgramError(f"{message[1][:200]}: {text}")
    return message


@functools.lru_cache(maxsize=256)  # more than HumanEval's 164 problems
def _compile(source: str) -> CodeType:
    return compile(source, "test.py", "exec")


def status_of(error: BaseException) -> str:
    """Returns the one-line status of a check that raised this exception."""
    if isinstance(error, CheckTimeout):
        return "timed out"
    try:
        text = " ".join(str(error)[:1000].split())[:200]
    except Exception:  # str() can fail, for example on an integer with too many digits
        text = ""
    return f"failed: {type(error).__name__}" + (f": {text}" if text else "")


def run_test(setup: str, test: str, calls: int, replies: int, seconds: float) -> str:
    """Runs setup, then the test's check(candidate); returns "passed", "timed out" or "failed: REASON".

    calls, replies: descriptors of the pipes to and from the program; seconds: limit on CPU time to decode its answers.
    """
    errors: list[BaseException] = []  # kept because a test may catch them with a bare `except:`
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
