"""One end of the conversation between the checker and the program. Either may ask, also while it is being asked.

A message is a list: its kind, then its content. A question is "call", GRAPH, NAMES of the last arguments, or, for items
of an iterator that the other end lent, "next", NUMBER, COUNT, or, for the value of a function that the checker lent,
"apply", NUMBER, GRAPH, NAMES. The answers are

- "value" or "error", GRAPH, and if arguments changed, the numbers of their nodes: the graph is then a list of the value
  and of a copy of each changed argument;
- "items", GRAPH, MORE, FAILED: a list of items, and at its end an exception if the iterator raised one;
- "limit" or "harness", TEXT: why there is no answer.

GRAPH is a value as in values.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from codex_jax.sandbox.forms import CarryError
from codex_jax.sandbox.lent_functions import may_lend
from codex_jax.sandbox.raised import describe_exception, simpler
from codex_jax.sandbox.values import Unpacker, pack
from codex_jax.sandbox.wire import LimitError, Pipe, WireError, dump, parse

SINGLE = 1000  # items of an iterator that are asked for one by one; after them, a tenth as many as were taken so far
MOST = 1000  # items asked for at once


class Borrowed(Iterator[Any]):
    """An iterator of the other end, which may be a file or of a class of the program, but here only gives its items."""

    def __init__(self, items: Iterator[Any], refuse: Callable[[str], Any]) -> None:
        self._items, self._refuse = items, refuse

    def __next__(self) -> Any:
        return next(self._items)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):  # such as those that copy looks for
            raise AttributeError(name)
        return self._refuse(f"the attribute {name} of an iterator")


class Peer:
    """Exchanges values and exceptions with the other end, and lends it iterators."""

    passes: type[BaseException] = BaseException  # what an iterator raises at the other end
    explains: tuple[type[BaseException], ...] = (CarryError, LimitError, MemoryError)  # sent as the reason of no answer
    guarded = False  # see Unpacker.unpack
    lends_functions = False
    borrow_function: Callable[[int, Any], Any] | None = None  # see Unpacker

    def __init__(self, pipe: Pipe, scope: Mapping[str, Any]) -> None:
        """scope: has the classes of exceptions that the other end may raise, besides those of Python, by name."""
        self._pipe = pipe
        self._lent: list[Any] = []  # iterators and functions
        self._unpacker = Unpacker(self._borrow, scope, self.borrow_function)
        self._answers: dict[str, Callable[..., list]] = {"next": self._next}  # by the kind of question

    def ask(self, *message: Any) -> list:
        """Sends a message and returns the answer to it. Until then answers the other end's questions.

        Raises EOFError or OSError if the other end is gone, WireError and LimitError.
        """
        data = dump([*message])
        while True:
            self._pipe.send(data)
            kind, *content = received = self.receive()
            if kind not in self._answers:
                return received
            try:
                data = dump(self._answers[kind](*content))
            except self.explains as error:
                reason = str(error) or "an answer that does not fit in memory"
                data = dump(["harness" if isinstance(error, CarryError) else "limit", reason])

    def receive(self) -> list:
        """Returns the next message."""
        return parse(self._pipe.receive())

    def unpack(self, graph: Any, sent: Sequence[Any] = ()) -> tuple[Any, dict[int, Any]]:
        """See Unpacker."""
        return self._unpacker.unpack(graph, sent, self.guarded)

    def pack(self, value: Any, known: Mapping[int, list[int]] | None = None) -> tuple[Any, list]:
        """See values.pack."""
        return pack(value, self._lend, known)

    def pack_error(
        self, wrap: Callable[[Any], Any], error: BaseException, known: Mapping[int, list[int]] | None = None
    ) -> Any:
        """The graph of an exception, in a list that wrap makes; without those of its parts that cannot be sent."""
        for raised in simpler(describe_exception(error), error):
            try:
                return self.pack(wrap(raised), known)[0]
            except CarryError as failed:
                reason = failed
        raise reason

    def _lend(self, value: Any) -> int:
        if not self.lends_functions and may_lend(value):
            raise CarryError(type(value))
        self._lent.append(value)
        return len(self._lent) - 1

    def _next(self, number: int, count: int) -> list:
        items: list[Any] = []
        try:
            iterator = islice(self._lent[number], min(count, MOST))
        except (IndexError, TypeError, ValueError):
            raise WireError("no such iterator") from None
        try:
            items.extend(iterator)  # keeps the items before an exception
        except self.passes as error:
            return ["items", self.pack_error(lambda raised: [*items, raised], error), False, True]
        return ["items", self.pack(items)[0], len(items) == count, False]

    def _borrow(self, number: int, is_generator: bool) -> Iterator[Any]:
        """An iterator over an iterator of the other end; a generator over a generator."""
        items = self._items_of(number)
        return items if is_generator else Borrowed(items, self.refuse)

    def _items_of(self, number: int) -> Iterator[Any]:
        taken, more = 0, True
        while more:
            items, more, error = self.take(number, 1 if taken < SINGLE else min(taken // 10, MOST))
            for item in items:
                if (yield item) is not None:
                    self.refuse("values that are sent to a generator")
            taken += len(items)
            if error is not None:
                raise error

    def refuse(self, what: str) -> Any:
        """Raises the error for something that iterators of the other end cannot do here."""
        raise CarryError(what)

    def take(self, number: int, count: int) -> tuple[list, bool, BaseException | None]:
        """Returns (items of the other end's iterator, whether there are more, the exception that it raised)."""
        kind, graph, more, failed = self.ask("next", number, count)
        items: list[Any] = self.unpack(graph)[0]
        error = items.pop() if failed is True else None
        if kind != "items" or not isinstance(items, list) or not isinstance(error, BaseException | None):
            raise WireError("not items")
        return items, more is True, error
