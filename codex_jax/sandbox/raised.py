"""Exceptions as values: the names of their classes, their arguments, attributes and cause."""

import builtins
import dis
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

# Each would end a loop over map(candidate, inputs) without an error, so that the remaining inputs are skipped.
LOOP_ENDING = (StopIteration, StopAsyncIteration)
KNOWN = set(sys.stdlib_module_names)  # top-level modules whose exceptions can be rebuilt
SHORT = 200  # characters of the text that is sent if an exception's arguments cannot be


@dataclass(frozen=True)
class Raised:
    """An exception without its class."""

    names: list[list[str]]  # (module, name) of the class and of the exception classes that it extends, nearest first
    arguments: tuple
    attributes: dict[str, Any]
    cause: BaseException | None


def describe_exception(error: BaseException) -> Raised:
    """The parts of an exception."""
    names = [[cls.__module__, cls.__qualname__] for cls in type(error).__mro__ if issubclass(cls, BaseException)]
    arguments = error.args
    if isinstance(error, OSError) and error.filename is not None and len(arguments) == 2:
        arguments = (*arguments, error.filename)
    return Raised(names, arguments, error.__dict__, error.__cause__)


def simpler(raised: Raised, error: BaseException) -> Iterator[Raised]:
    """Yields the parts, the parts without attributes and cause, and the text alone. The last can always be sent."""
    yield raised
    yield replace(raised, attributes={}, cause=None)
    try:
        text = str(error)[:SHORT]
    except Exception:  # its own __str__ may fail
        text = ""
    yield Raised(raised.names, ("".join([text]),), {}, None)


def rebuild_exception(raised: Raised, scope: Mapping[str, Any]) -> BaseException:
    """An exception of the nearest class that is known here: in the scope, Python, or a loaded module of KNOWN.

    No class's own __init__ runs, as its parameters need not be the exception's arguments. Raises ValueError or
    TypeError if the parts do not fit.
    """
    for kind in _known_classes(raised.names, scope):
        base: Any = next(cls for cls in kind.__mro__ if cls.__module__ == "builtins")
        try:
            error = base.__new__(kind, *raised.arguments)
            base.__init__(error, *raised.arguments)
        except TypeError:  # some need other arguments, such as UnicodeDecodeError
            continue
        error.__dict__.update(raised.attributes)
        error.__cause__ = raised.cause
        return error
    raise ValueError("an exception of no known class")


def _known_classes(names: list[list[str]], scope: Mapping[str, Any]) -> Iterator[Any]:
    """Leaves out classes of unittest, as some of them, such as SkipTest, end a test without a failure."""
    for module, name in names:
        places = [scope, vars(builtins)] if module == "builtins" else [scope]
        if module.partition(".")[0] in KNOWN and module in sys.modules:
            places.append(vars(sys.modules[module]))
        for found in (place.get(name) for place in places):
            is_exception = isinstance(found, type) and issubclass(found, BaseException)
            if is_exception and not found.__module__.startswith("unittest"):
                yield found


def was_swallowed(error: BaseException) -> bool:
    """Whether C code, such as map's, took this exception as its end, so that no `except` of the test could see it.

    An exception gets a traceback entry for each Python function that it reaches. The outermost of them must be in a
    block that handles exceptions.
    """
    trace = error.__traceback__
    if trace is None:
        return True
    code: Any = dis.Bytecode(trace.tb_frame.f_code)
    return not any(block.start <= trace.tb_lasti < block.end for block in code.exception_entries)
