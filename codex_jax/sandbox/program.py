"""The program's process: runs the program's source, then answers calls of its function with plain data.

It never sees a test, and the checker treats its answers as values, never as a verdict.
"""

import linecache
import sys
from functools import partial
from types import ModuleType
from typing import Any

from codex_jax.sandbox.wire import decode, encode, receive, send

FILE = "candidate.py"  # the program's name in tracebacks and in __file__


def _encode_error(error: BaseException) -> bytes:
    # The nearest built-in base class comes first. The checker knows no other types.
    names = [cls.__name__ for cls in type(error).__mro__ if cls.__module__ == "builtins"]
    try:
        text = str(error)[:200]
    except Exception:
        text = ""
    return encode(("error", names[0] if names else "Exception", text))


def load(source: str, name: str = "candidate", prelude: str = "") -> ModuleType:
    """Runs the source as a module of this name, which is also __main__, as if it were started from a file.

    prelude: source that runs in the module first, such as imports that a benchmark makes for every program.
    """
    module = ModuleType(name)
    module.__file__ = FILE
    sys.modules[name] = sys.modules["__main__"] = module
    sys.argv = [FILE]
    linecache.cache[FILE] = len(source), None, source.splitlines(keepends=True), FILE  # for inspect and tracebacks
    exec(compile(prelude, "prelude.py", "exec"), vars(module))
    exec(compile(source, FILE, "exec"), vars(module))
    return module


def can_send(value: Any) -> bool:
    """Whether a value can be sent to the checker."""
    try:
        encode(value)
    except Exception:
        return False
    return True


def serve_calls(calls: int, replies: int) -> None:
    """Reads the program, its host and the function's name, runs them, then answers calls until the process is killed.

    calls, replies: the descriptors of the pipes from and to the checker.
    """
    source, host, entry_point = decode(receive(calls))
    try:
        if host:
            scope: dict[str, Any] = {"__name__": "host", "load": partial(load, source), "can_send": can_send}
            exec(compile(host, "host.py", "exec"), scope)
        else:
            scope = vars(load(source))
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
