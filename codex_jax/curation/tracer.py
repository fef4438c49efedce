"""Records the calls of a package's top-level functions while its tests run. This source runs in the sandbox.

There it has only the standard library, pytest and written.py. What a call gives is recorded as source: a value that is
plain data, RAISES if it raises an exception, or YIELDS if its value is an iterator, whose items a replay finds out.
"""

import dis
import io
import os
import sys
import threading
import time
from types import CodeType, FrameType
from typing import Any

from codex_jax.curation.written import write

MAX_CALLS = 300  # recorded per function; with the same arguments only once
MAX_FAILURES = 3  # of tests that are described
MAX_SEEN = 2000  # calls looked at per function
GENERATOR, OTHER_KINDS = 0x20, 0x80 | 0x200  # flags of generators, and of coroutines
OPTIMIZED = 0x01  # the flag of functions, which the body of a class does not have
RAISES, YIELDS = "raise", "yield"
Values = tuple[list[Any], dict[str, Any]]  # positional and named arguments
RETURNS = ("RETURN_VALUE", "RETURN_CONST")
SKIPPED = ("tests", "test", "testing", "_needed")  # folders whose functions are not recorded
Key = tuple[str, int, str]  # file, first line and name of a function


class Tracer:
    """Records calls of functions whose code is in files below a folder, without those of tests.

    skip: names of folders. calls: {arguments as source: what the call gives}, by function. reasons: the function's
    calls that were not recorded, by why. seen: the number of all of its calls.
    """

    def __init__(self, root: str, skip: tuple[str, ...] = ("tests", "test")) -> None:
        self.root, self.skip = os.path.join(os.path.realpath(root), ""), {*skip}
        self.calls: dict[Key, dict[str, str]] = {}
        self.reasons: dict[Key, dict[str, int]] = {}
        self.seen: dict[Key, int] = {}
        self._keys: dict[CodeType, Key | None] = {}
        self._local = threading.local()

    def key(self, code: CodeType) -> Key | None:
        """The function's place; None for code that is not recorded."""
        if code not in self._keys:
            name = code.co_filename
            inner = name.removeprefix(self.root)
            *folders, file = inner.split("/")
            wanted = name.startswith(self.root) and not self.skip.intersection(folders) and code.co_name.isidentifier()
            wanted = wanted and not file.startswith(("test_", "tests.", "conftest.")) and not file.endswith("_test.py")
            wanted = wanted and code.co_qualname == code.co_name and not code.co_flags & OTHER_KINDS
            wanted = wanted and bool(code.co_flags & OPTIMIZED)
            self._keys[code] = (inner, code.co_firstlineno, code.co_name) if wanted else None
        return self._keys[code]

    def enter(self, frame: FrameType) -> None:
        """Takes note of the arguments of a call."""
        code = frame.f_code
        key = self.key(code)
        if key is None or (code.co_flags & GENERATOR and code.co_code[frame.f_lasti + 1]):
            return  # a generator goes on after a yield
        self.seen[key] = self.seen.get(key, 0) + 1
        if self.seen[key] > MAX_SEEN or len(self.calls.get(key, ())) >= MAX_CALLS:
            return
        values = _arguments(frame)
        before = written_call(*values)
        if code.co_flags & GENERATOR:
            self._record(key, before, YIELDS)
        else:
            state = written_call(*values, items=False) if before and "iter(" in before else before
            self._stack().append((frame, values, before, state))

    def leave(self, frame: FrameType, result: Any, raised: bool) -> None:
        """Records a call that ends."""
        key, stack = self.key(frame.f_code), self._stack()
        if key is None or not stack or stack[-1][0] is not frame:
            return
        _, values, before, state = stack.pop()
        if raised:
            outcome: str | None = RAISES
        elif hasattr(type(result), "__next__") and hasattr(type(result), "__iter__"):
            outcome = YIELDS
        else:
            outcome = write(result)
        same = before is None or raised or written_call(*values, items=before == state) == state
        reason = "" if same else "changes_arguments"
        self._record(key, before, outcome, reason)

    def _record(self, key: Key, arguments: str | None, outcome: str | None, reason: str = "") -> None:
        of_function, reasons = self.calls.setdefault(key, {}), self.reasons.setdefault(key, {})
        if arguments is None or outcome is None or reason:
            reason = "arguments_not_plain" if arguments is None else reason or "result_not_plain"
            reasons[reason] = reasons.get(reason, 0) + 1
        elif len(of_function) < MAX_CALLS:
            of_function.setdefault(arguments, outcome)

    def _stack(self) -> list[tuple[FrameType, Values, str | None, str | None]]:
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


def written_call(positional: list[Any], named: dict[str, Any], items: bool = True) -> str | None:
    """The arguments as they are written in a call; None if one cannot be. items: see write."""
    parts = [write(value, argument=True, items=items) for value in positional]
    for name, value in named.items():
        text = write(value, argument=True, items=items)
        parts.append(None if text is None or not name.isidentifier() else f"{name}={text}")
    return None if None in parts else ", ".join(part for part in parts if part is not None)


class _Stopper:
    """A plugin of pytest that counts tests, and ends the session after so many CPU seconds, so that nothing is lost."""

    def __init__(self, seconds: float) -> None:
        self._end = time.process_time() + seconds
        self.counts: dict[str, int] = {}
        self.failures: list[str] = []  # the first ones

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.when == "call" or not report.passed:
            self._count(report, report.outcome)

    def pytest_collectreport(self, report: Any) -> None:
        if report.failed:
            self._count(report, "not_collected")

    def _count(self, report: Any, outcome: str) -> None:
        self.counts[outcome] = self.counts.get(outcome, 0) + 1
        if report.failed and len(self.failures) < MAX_FAILURES:
            errors = [line[1:].strip() for line in str(report.longreprtext).splitlines() if line.startswith("E ")]
            self.failures.append(f"{report.nodeid}: {''.join(errors[:1])}"[:300])

    def pytest_sessionstart(self, session: Any) -> None:
        self._session = session

    def pytest_runtest_logfinish(self, nodeid: str, location: Any) -> None:
        if time.process_time() > self._end:
            self._session.shouldstop = "out of time"


def run_tests(
    files: dict[str, str], paths: list[str], tests: list[str], options: list[str], seconds: float
) -> dict[str, Any]:
    """Writes the files to the working directory, runs files of tests with pytest, and returns what was recorded.

    paths: folders from which modules are imported. options: of pytest. seconds: of CPU time, after which no further
    test starts.
    """
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(".", name)), exist_ok=True)
        with open(name, "w", encoding="utf-8", newline="") as file:
            file.write(text)
    folders = [path for path in map(os.path.abspath, paths) if os.path.isdir(path)]
    sys.path[:0] = folders
    own = {name.removesuffix(".py") for folder in folders for name in os.listdir(folder)} - {"pytest", "_pytest"}
    for name in [name for name in sys.modules if name.partition(".")[0] in own - sys.stdlib_module_names]:
        del sys.modules[name]  # a package that pytest uses, too
    sys.dont_write_bytecode = True
    sys.stdin = io.StringIO()
    import pytest

    tracer, stopper = Tracer(".", SKIPPED), _Stopper(seconds)
    tracer.start()
    try:
        words = ["-q", "-p", "no:cacheprovider", "--rootdir=.", *options, *tests]
        code = int(pytest.main(words, plugins=[stopper]))
    except BaseException:  # such as a SystemExit of a test
        code = -1
    finally:
        tracer.stop()
    calls = [[*key, *pair] for key, of_function in tracer.calls.items() for pair in of_function.items()]
    reasons = [[*key, tracer.seen.get(key, 0), counts] for key, counts in tracer.reasons.items()]
    return {"exit": code, "tests": stopper.counts, "failures": stopper.failures, "calls": calls, "reasons": reasons}
