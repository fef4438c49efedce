"""The program's process: runs the program's source, then answers calls of its function with plain data.

It never sees a test, and the checker treats its answers as values, never as a verdict.
"""

from typing import Any

from codex_jax.sandbox.wire import decode, encode, receive, send


def _encode_error(error: BaseException) -> bytes:
    # The nearest built-in base class comes first. The checker knows no other types.
    names = [cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins"]
    try:
        text = str(error)[:200]
    except Exception:
        text = ""
    return encode(("error", names[0] if names else "Exception", text))


def serve_calls(calls: int, replies: int) -> None:
    """Reads the source and the function's name, runs the source, then answers calls until the process is killed.

    calls, replies: the descriptors of the pipes from and to the checker.
    """
    source, entry_point = decode(receive(calls))
    scope: dict[str, Any] = {"__name__": "candidate"}
    try:
        exec(compile(source, "candidate.py", "exec"), scope)
        function = scope[entry_point]
        message = encode(("ready",))
    except BaseException as error:
        message, function = _encode_error(error), None
    send(replies, message)
    while function is not None:
        args, kwargs = decode(receive(calls))
        try:
            value = function(*args, **kwargs)
        except BaseException as error:
            message = _encode_error(error)
        else:
            try:
                message = encode(("value", value))
            except BaseException as error:
                message = encode(("refused", f"cannot return {type(value).__name__}: {error}"[:200]))
        send(replies, message)
