"""The checker's process: runs the benchmark's own test against a stand-in for the program's function."""

import builtins
from typing import Any

from codex_jax.execution.program import receive, send
from codex_jax.execution.wire import WireError, decode, encode


class ProgramError(Exception):
    """The program stopped, or answered with something that is not plain data."""


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
                raise kind(message[2])
            except TypeError:
                raise ProgramError(f"{message[1]}: {message[2]}") from None
        raise ProgramError(f"{message[1]}: {message[2]}")
    return message


def check(prompt: str, solution: str, test: str, calls: int, replies: int) -> str:
    """ "passed" or "failed: REASON". The prompt and the reference solution define the helpers that tests use."""

    def candidate(*args: Any, **kwargs: Any) -> Any:
        try:
            send(calls, encode((args, kwargs)))
        except OSError:
            raise ProgramError("program ended") from None
        message = _answer(replies)
        if len(message) != 2 or message[0] != "value":
            raise ProgramError("not an answer")
        return message[1]

    try:
        scope: dict[str, Any] = {"__name__": "checker"}
        exec(compile(f"{prompt}{solution}\n{test}", "test.py", "exec"), scope)
        if _answer(replies) != ("ready",):
            raise ProgramError("not an answer")
        scope["check"](candidate)
    except BaseException as error:
        text = " ".join(str(error).split())[:200]
        return f"failed: {type(error).__name__}" + (f": {text}" if text else "")
    return "passed"
