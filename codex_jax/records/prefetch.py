"""Prepares items in a background thread. Order, values and exceptions are the same as without it."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(items: Iterable[Item], prepare: Callable[[Item], Result], depth: int = 2) -> Generator[Result, None, None]:
    """Yields prepare(item) for each item, computed up to `depth` items ahead. prepare may copy to a device.

    Exceptions of items and prepare are raised at their item. Closing the generator stops its thread: use
    contextlib.closing() if iteration may end early.
    """
    iterator = iter(items)

    def next_result() -> tuple[Result] | None:
        for item in iterator:
            return (prepare(item),)
        return None

    pool = ThreadPoolExecutor(1, "prefetch")  # a single thread, so that items are prepared in order
    try:
        pending = deque(pool.submit(next_result) for _ in range(depth))
        while result := pending.popleft().result():
            pending.append(pool.submit(next_result))
            yield result[0]
    finally:
        pool.shutdown(cancel_futures=True)
