"""The program's process: runs the program's source, then answers calls of its function with plain data.

It never sees a test, and the checker treats its answers as values, never as a verdict.
"""

import copy
import linecache
import sys
from collections.abc import Callable
from functools import partial
from operator import is_
from types import ModuleType
from typing import Any

from codex_jax.sandbox.forms import CHANGEABLE, SCALARS, CarryError, contents
from codex_jax.sandbox.lent_functions import borrowed, may_lend
from codex_jax.sandbox.peer import Peer
from codex_jax.sandbox.values import pack
from codex_jax.sandbox.wire import Pipe, dump, parse

FILE = "candidate.py"  # the program's name in tracebacks and in __file__


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


def _reply(pipe: Pipe, value: str) -> None:
    pipe.send(dump(["value", value]))


def _hold(value: Any) -> int:
    if may_lend(value):
        raise CarryError(type(value))
    return 0


def _can_send(value: Any) -> bool:
    try:
        pack(value, _hold)
    except Exception:
        return False
    return True


def serve_calls(calls: int, replies: int) -> None:
    """Reads the program, its host and the function's name, runs them, then answers calls until the process is killed.

    calls, replies: the descriptors of the pipes from and to the checker.
    """
    pipe = Pipe(calls, replies)
    _, source, host, entry_point = parse(pipe.receive())
    scope: dict[str, Any] = {}
    caller = _Caller(pipe, scope)
    try:
        if host:
            scope.update(__name__="host", load=partial(load, source), can_send=_can_send)
            scope["reply"] = partial(_reply, pipe)  # answers a call whose program then ends the process, with text
            exec(compile(host, "host.py", "exec"), scope)
        else:
            scope = vars(load(source))
        if entry_point not in scope:
            raise NameError(f"name {entry_point!r} is not defined")
        caller.function = scope[entry_point]
    except BaseException as error:
        pipe.send(dump(["error", caller.pack_error(lambda raised: raised, error)]))
        return
    caller.ask("ready")


class _Caller(Peer):
    """Answers calls of the program's function."""

    function: Callable[..., Any]

    def __init__(self, pipe: Pipe, scope: dict[str, Any]) -> None:
        super().__init__(pipe, scope)
        self._answers["call"] = self._call

    def borrow_function(self, number: int, known: tuple[str, list | None]) -> Callable[..., Any]:
        """A function of the test, which has this number there. known: its name and signature."""

        def call(args: tuple, kwargs: dict[str, Any]) -> Any:
            kind, graph = self.ask("apply", number, self.pack((*args, *kwargs.values()))[0], [*kwargs])
            value = self.unpack(graph)[0]
            if kind == "error":
                raise value
            return value

        return borrowed(*known, call)

    def _call(self, graph: Any, names: list[str]) -> list:
        values, made = self.unpack(graph)
        before = [(number, value, contents(value)) for number, value in made.items() if type(value) in CHANGEABLE]
        split = len(values) - len(names)
        try:
            kind, value = "value", self.function(*values[:split], **dict(zip(names, values[split:], strict=True)))
        except CarryError:
            raise
        except BaseException as error:
            kind, value = "error", error
        changed = {number: value for number, value, items in before if _differ(items, contents(value))}
        if type(value) in SCALARS and not changed:
            return [kind, value]
        return self._outcome(kind, value, made, changed)

    def _outcome(self, kind: str, value: Any, made: dict[int, Any], changed: dict[int, Any]) -> list:
        known = {id(value): [-1 - number] for number, value in made.items() if type(value) not in SCALARS}

        def graph(changed: dict[int, Any]) -> Any:
            def wrap(value: Any) -> Any:
                return [value, *map(copy.copy, changed.values())] if changed else value

            return self.pack_error(wrap, value, known) if kind == "error" else self.pack(wrap(value), known)[0]

        try:
            return [kind, graph(changed), *([[*changed]] if changed else [])]
        except CarryError:
            if not changed:
                raise
            return [kind, graph({})]  # an argument that now holds what cannot be sent stays as it was


def _differ(before: list, after: list) -> bool:
    return len(before) != len(after) or not all(map(is_, before, after))
