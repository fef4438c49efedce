"""Records the calls of a package's top-level functions while its tests run. This source runs in the sandbox.

There it has only the standard library, and pytest. A value is recorded as Python source if it is plain data.
"""

import dis
import io
import os
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any

MAX_CHARACTERS = 2000  # of an argument or a result
MAX_ITEMS = 500  # of a value with all that it contains
MAX_CALLS = 300  # recorded per function; with the same arguments only once
MAX_SEEN = 5000  # calls looked at per function
GENERATOR = 0x20 | 0x80 | 0x200  # flags of generators and coroutines
Values = tuple[list[Any], dict[str, Any]]  # positional and named arguments
RETURNS = ("RETURN_VALUE", "RETURN_CONST")


def plain(value: Any) -> str | None:
    """A value as Python source that makes an equal value of the same types; None if there is none, or it is long."""
    if not _is_plain(value, [MAX_ITEMS]):
        return None
    text = repr(value)
    return text if len(text) <= MAX_CHARACTERS else None


def _is_plain(value: Any, left: list[int]) -> bool:
    """Whether a value consists of these types alone. left: how many more values may be looked at; it is changed."""
    left[0] -= 1
    kind = type(value)
    if left[0] < 0:
        return False
    if kind in (str, bytes):
        return len(value) <= MAX_CHARACTERS
    if kind is int:
        return value.bit_length() <= MAX_CHARACTERS
    if kind is float:
        return value - value == 0  # not NaN and not infinite, which have no literal
    if kind in (list, tuple, set):
        return len(value) <= left[0] and all(_is_plain(item, left) for item in value)
    if kind is dict:
        return len(value) <= left[0] and all(_is_plain(item, left) for pair in value.items() for item in pair)
    return value is None or kind is bool


class Tracer:
    """Records calls of functions whose code is in files below a folder, without those in folders of tests.

    calls: (file, first line, name) -> {positional and named arguments as source: result as source}. reasons: for each
    of these functions, its calls that were not recorded, by why. seen: the number of all of its calls.
    """

    def __init__(self, root: str, skip: tuple[str, ...] = ("tests", "test")) -> None:
        self.root, self.skip = os.path.join(os.path.realpath(root), ""), {*skip}
        self.calls: dict[tuple[str, int, str], dict[str, str]] = {}
        self.reasons: dict[tuple[str, int, str], dict[str, int]] = {}
        self.seen: dict[tuple[str, int, str], int] = {}
        self._keys: dict[CodeType, tuple[str, int, str] | None] = {}
        self._local = threading.local()

    def key(self, code: CodeType) -> tuple[str, int, str] | None:
        """The function's place; None for code that is not recorded."""
        if code not in self._keys:
            name = code.co_filename
            inner = name.removeprefix(self.root)
            parts = inner.split("/")
            wanted = name.startswith(self.root) and not self.skip.intersection(parts) and code.co_name.isidentifier()
            wanted = wanted and not parts[-1].startswith(("test_", "conftest")) and code.co_qualname == code.co_name
            wanted = wanted and not code.co_flags & GENERATOR
            self._keys[code] = (inner, code.co_firstlineno, code.co_name) if wanted else None
        return self._keys[code]

    def enter(self, frame: FrameType) -> None:
        """Takes note of the arguments of a call."""
        key = self.key(frame.f_code)
        if key is not None:
            self.seen[key] = self.seen.get(key, 0) + 1
            if self.seen[key] > MAX_SEEN:
                return
            values = _arguments(frame)
            self._stack().append((frame, values, _written(*values)))

    def leave(self, frame: FrameType, result: Any, raised: bool) -> None:
        """Records a call that ends."""
        key, stack = self.key(frame.f_code), self._stack()
        if key is None or not stack or stack[-1][0] is not frame:
            return
        _, values, before = stack.pop()
        value = None if raised else plain(result)
        of_function, reasons = self.calls.setdefault(key, {}), self.reasons.setdefault(key, {})
        reason = "raises" if raised else "arguments_not_plain" if before is None else ""
        reason = reason or ("result_not_plain" if value is None else "")
        reason = reason or ("changes_arguments" if _written(*values) != before else "")
        if reason or before is None or value is None:
            reasons[reason] = reasons.get(reason, 0) + 1
            return
        if len(of_function) < MAX_CALLS:
            of_function.setdefault(before, value)

    def _stack(self) -> list[tuple[FrameType, Values, str | None]]:
        if not hasattr(self._local, "stack"):
            self._local.stack = []
        return self._local.stack

    def start(self) -> None:
        """Starts to record."""
        if sys.version_info >= (3, 12):
            self._start_monitoring()
            return
        threading.setprofile(self._profile)
        sys.setprofile(self._profile)

    def _profile(self, frame: FrameType, event: str, result: Any) -> None:
        if event == "call":
            self.enter(frame)
        elif event == "return":
            # The event is the same for a function that raises.
            raised = dis.opname[frame.f_code.co_code[frame.f_lasti]] not in RETURNS
            self.leave(frame, result, raised)

    def _start_monitoring(self) -> None:
        monitoring = sys.monitoring  # type: ignore[attr-defined,unused-ignore]
        events, tool = monitoring.events, monitoring.PROFILER_ID
        monitoring.use_tool_id(tool, "codex_jax")

        def enter(code: CodeType, _: int) -> Any:
            return monitoring.DISABLE if self.key(code) is None else self.enter(sys._getframe(1))

        def leave(code: CodeType, _: int, result: Any) -> Any:
            return monitoring.DISABLE if self.key(code) is None else self.leave(sys._getframe(1), result, False)

        def unwind(code: CodeType, _: int, error: BaseException) -> None:
            self.leave(sys._getframe(1), None, True)

        monitoring.register_callback(tool, events.PY_START, enter)
        monitoring.register_callback(tool, events.PY_RETURN, leave)
        monitoring.register_callback(tool, events.PY_UNWIND, unwind)
        monitoring.set_events(tool, events.PY_START | events.PY_RETURN | events.PY_UNWIND)

    def stop(self) -> None:
        """Stops recording."""
        if sys.version_info >= (3, 12):
            sys.monitoring.free_tool_id(sys.monitoring.PROFILER_ID)  # type: ignore[attr-defined,unused-ignore]
            return
        sys.setprofile(None)
        threading.setprofile(None)


def _arguments(frame: FrameType) -> Values:
    """The positional and the named arguments of a call that begins."""
    code, values = frame.f_code, frame.f_locals
    names, end = code.co_varnames, code.co_argcount + code.co_kwonlyargcount
    positional = [values.get(name, ...) for name in names[: code.co_argcount]]
    named = {name: values.get(name, ...) for name in names[code.co_argcount : end]}
    if code.co_flags & 0x04:  # *args
        positional += values.get(names[end], ())
        end += 1
    if code.co_flags & 0x08:  # **kwargs
        named |= values.get(names[end], {})
    return positional, named


def _written(positional: list[Any], named: dict[str, Any]) -> str | None:
    """The arguments as they are written in a call; None if one is not plain data."""
    parts = [plain(value) for value in positional]
    for name, value in named.items():
        text = plain(value)
        parts.append(None if text is None or not name.isidentifier() else f"{name}={text}")
    return None if None in parts else ", ".join(part for part in parts if part is not None)


class _Stopper:
    """A plugin of pytest that ends the session after so many CPU seconds, so that what was recorded is not lost."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def pytest_sessionstart(self, session: Any) -> None:
        self._session = session

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        if time.process_time() > self._seconds:
            self._session.shouldstop = "out of time"


def run_tests(files: dict[str, str], paths: list[str], test: str, seconds: float) -> dict[str, Any]:
    """Writes the files to the working directory, runs a file of tests with pytest, and returns what was recorded.

    seconds: of CPU time, after which no further test starts.
    """
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(".", name)), exist_ok=True)
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    sys.path[:0] = [os.path.abspath(path) for path in paths]
    sys.dont_write_bytecode = True
    sys.stdin = io.StringIO()
    import pytest

    tracer = Tracer(".")
    tracer.start()
    try:
        options = ["-q", "-p", "no:cacheprovider", "--rootdir=.", test]
        code = int(pytest.main(options, plugins=[_Stopper(seconds)]))
    except BaseException:  # such as a SystemExit of a test
        code = -1
    finally:
        tracer.stop()
    calls = [[*key, *pair] for key, of_function in tracer.calls.items() for pair in of_function.items()]
    reasons = [[*key, tracer.seen.get(key, 0), counts] for key, counts in tracer.reasons.items()]
    return {"exit": code, "calls": calls, "reasons": reasons}
