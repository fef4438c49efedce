"""The checker runs a test with a proxy for the program's function, which runs in another process."""

import functools
import gc
import threading
from collections.abc import Callable
from types import CodeType
from typing import Any

from codex_jax.sandbox.check import HARNESS, LIMIT, PASSED, TIMED_OUT
from codex_jax.sandbox.cpu_budget import CheckTimeout, CpuBudget
from codex_jax.sandbox.forms import CarryError, assign
from codex_jax.sandbox.lent_functions import CHECKER, may_lend
from codex_jax.sandbox.peer import Peer
from codex_jax.sandbox.raised import LOOP_ENDING, was_swallowed
from codex_jax.sandbox.values import INVALID
from codex_jax.sandbox.wire import LimitError, Pipe, WireError, parse

LONG = 2048  # bytes; a shorter message cannot hold enough items to make sets slow
MANY = 1000  # messages after which the limits are moved, because each message takes the checker and the program time
STARTS = {"limit": LIMIT, "harness": HARNESS}  # of the statuses
SHORT_TEXT = 200  # characters of a reason


class ProgramError(BaseException):
    """The program ended, or its answer is not plain data. A test's `except Exception` does not catch it."""

    def __init__(self, text: str, start: str = "failed: ProgramError: ") -> None:
        super().__init__(text)
        self.start = start  # of the status


@functools.lru_cache(maxsize=512)  # more than HumanEval's 164 problems have tests and setups
def _compile(source: str, name: str) -> CodeType:
    return compile(source, name, "exec")


def status_of(error: BaseException) -> str:
    """Returns the one-line status of a check that raised this exception."""
    if isinstance(error, CheckTimeout):
        return TIMED_OUT
    try:
        text = " ".join(str(error)[:1000].split())[:SHORT_TEXT]
    except Exception:  # str() can fail, for example on an integer with too many digits
        text = ""
    if isinstance(error, ProgramError):
        return error.start + text
    return f"failed: {type(error).__name__}" + (f": {text}" if text else "")


class _Examiner(Peer):
    """Calls the program's function for a test, and keeps all errors of the program, which the test may catch."""

    passes = Exception  # a CheckTimeout ends the check
    explains = ()
    lends_functions = True

    def __init__(self, pipe: Pipe, scope: dict[str, Any], budget: CpuBudget, on_many: Callable[[], None]) -> None:
        super().__init__(pipe, scope)
        self._budget, self._on_many = budget, on_many
        self._received = 0  # messages
        self._last: BaseException | None = None  # the last exception of the program that may have ended a loop
        self._lock = threading.RLock()
        self.errors: list[BaseException] = []
        self._answers["apply"] = self._apply

    def _apply(self, number: int, graph: Any, names: list[str]) -> list:
        """Calls a function that the test lent. Its arguments are copies: what it changes in them is lost."""
        function = self._lent[number]
        if not may_lend(function):
            raise WireError("no such function")
        values = self.unpack(graph)[0]
        split = len(values) - len(names)
        try:
            value = function(*values[:split], **dict(zip(names, values[split:], strict=True)))
        except self.passes as error:
            return ["error", self.pack_error(lambda raised: raised, error)]
        return ["value", self.pack(value)[0]]

    def receive(self) -> list:
        """See Peer. The time for all that follows is charged to the program."""
        data = self._pipe.receive()
        self._budget.start()
        self.guarded = len(data) > LONG
        if self.guarded:
            gc.disable()  # a message is no garbage, and collections would look at its values again and again
        message = parse(data)
        if message[0] != "apply":  # of these, a program may send any number, which costs its own time
            self._received += 1
            if not self._received % MANY:
                self._on_many()
        return message

    def ask(self, *message: Any) -> list:
        """See Peer. ProgramError if there is no answer."""
        kind, *content = answer = super().ask(*message)
        if kind in STARTS and content and type(content[0]) is str:
            raise ProgramError(content[0], STARTS[kind])
        return answer

    def wait_until_ready(self) -> None:
        """Waits until the program is loaded. Raises the exception that it raised meanwhile."""
        kind, *content = self._checked(lambda: parse(self._pipe.receive()))
        if kind == "error":
            error = self._checked(lambda: self.unpack(*content)[0])
            if isinstance(error, BaseException):
                raise error
        if kind != "ready":
            raise ProgramError("not an answer")

    def candidate(self, /, *args: Any, **kwargs: Any) -> Any:
        """Calls the program's function."""
        self.settle()
        failed, *outcome = self._checked(self._call, args, kwargs)
        if failed:
            raise outcome.pop()  # kept in no variable, as its traceback would then keep itself alive
        return outcome[0]

    def settle(self) -> None:
        """Finds out what became of the last exception that may have ended a loop of the test."""
        last, self._last = self._last, None
        if last is not None and was_swallowed(last):
            self.errors.append(_ending(last))

    def take(self, number: int, count: int) -> tuple[list, bool, BaseException | None]:
        """See Peer."""
        return self._checked(super().take, number, count)

    def refuse(self, what: str) -> Any:
        """See Peer."""
        return self._checked(super().refuse, what)

    def _call(self, args: tuple, kwargs: dict[str, Any]) -> tuple[bool, Any]:
        graph, objects = self.pack((*args, *kwargs.values()))
        kind, graph, *changed = self.ask("call", graph, [*kwargs])
        value = self.unpack(graph, objects)[0]
        if changed:
            value, *copies = value
            for number, copy in zip(*changed, copies, strict=True):
                assign(objects[number], copy)
        if kind == "error" and isinstance(value, BaseException):
            if isinstance(value, LOOP_ENDING):
                self._last = value
            return True, value
        if kind != "value":
            raise WireError("neither a value nor an error")
        return False, value

    def _checked(self, ask: Callable[..., Any], *content: Any) -> Any:
        """The outcome of a question. Whatever is wrong with the answer becomes a ProgramError, which is kept."""
        try:
            with self._lock:  # a test may call from several threads
                return ask(*content)
        except (ProgramError, CheckTimeout) as error:
            failure: BaseException = error
        except (EOFError, OSError):
            failure = ProgramError("program ended")
        except CarryError as error:
            failure = ProgramError(str(error), HARNESS)
        except LimitError as error:
            failure = ProgramError(str(error), LIMIT)
        except MemoryError:
            failure = ProgramError("an answer that does not fit in the checker's memory", LIMIT)
        except (WireError, *INVALID) as error:
            failure = ProgramError(f"not an answer: {error}")
        finally:
            gc.enable()
        self.errors.append(failure)
        raise failure from None


def run_test(setup: str, test: str, pipe: Pipe, budget: CpuBudget, on_many: Callable[[], None]) -> str:
    """Runs setup, then the test's check(candidate); returns "passed", "timed out" or "failed: REASON".

    pipe: to the program. budget: is started when the first answer arrives. on_many: called after many messages.
    """
    try:
        scope: dict[str, Any] = {"__name__": CHECKER}
        exec(_compile(setup, "setup.py"), scope)
        examiner = _Examiner(pipe, scope.copy(), budget, on_many)
        exec(_compile(test, "test.py"), scope)
        examiner.wait_until_ready()
        scope["check"](examiner.candidate)
        examiner.settle()
        if budget.expired:
            raise CheckTimeout
        if examiner.errors:
            raise examiner.errors[0]
    except LOOP_ENDING as error:
        return status_of(_ending(error))
    except BaseException as error:
        return TIMED_OUT if budget.expired else status_of(error)
    return PASSED


def _ending(error: BaseException) -> ProgramError:
    return ProgramError(f"{type(error).__name__}: {error}")
