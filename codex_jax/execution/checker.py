"""The checker's process: runs the benchmark's own test against a stand-in for the program's function."""

import builtins
from typing import Any

from codex_jax.execution.program import receive, send
from codex_jax.execution.wire import WireError, decode, encode


class ProgramError(BaseException):
    """The program stopped, or answered with something that is not plain data; no test's `except Exception` hides it."""


def _answer(replies: int) -> tuple:
    try:
        message = decode(receive(replies))
    except (EOFError, OSError):
        raise ProgramError("program ended") from None
    except WireError as error:
        raise ProgramError(str(error)) from None
    if type(message) is not tuple or not message:
        raise ProgramError("not an answer")
    if message[0] == "error" and len(message) == 3 and all(type(part) is str for part in message):
        kind = getattr(builtins, message[1], None)
        if isinstance(kind, type) and issubclass(kind, Exception):
            try:
                raised = kind(message[2])
            except TypeError:  # such as UnicodeDecodeError, which wants five arguments
                raise ProgramError(f"{message[1]}: {message[2]}") from None
            raise raised
        raise ProgramError(f"{message[1]}: {message[2]}")
    return message


def check(prompt: str, solution: str, test: str, calls: int, replies: int) -> str:
    """ "passed" or "failed: REASON". The prompt and the reference solution define the helpers that tests use."""

    broken: list[ProgramError] = []  # remembered, as a test may have a bare `except:`

    def call(args: tuple, kwargs: dict[str, Any]) -> Any:
        try:
            send(calls, encode((args, kwargs)))
        except OSError:
            raise ProgramError("program ended") from None
        message = _answer(replies)
        if len(message) == 2 and message[0] == "value":
            return message[1]
        raise ProgramError(str(message[1]) if len(message) == 2 and message[0] == "refused" else "not an answer")

    def candidate(*args: Any, **kwargs: Any) -> Any:
        try:
            return call(args, kwargs)
        except ProgramError as error:
            broken.append(error)
            raise

    try:
        scope: dict[str, Any] = {"__name__": "checker"}
        exec(compile(f"{prompt}{solution}\n{test}", "test.py", "exec"), scope)
        if _answer(replies) != ("ready",):
            raise ProgramError("not an answer")
        scope["check"](candidate)
        if broken:
            raise broken[0]
    except BaseException as error:
        text = " ".join(str(error).split())[:200]
        return f"failed: {type(error).__name__}" + (f": {text}" if text else "")
    return "passed"
