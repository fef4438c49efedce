"""A background thread prepares what comes next while a step runs; order, values and exceptions stay the same."""

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Placed = TypeVar("Placed")


def prefetch(items: Iterable[Item], place: Callable[[Item], Placed], depth: int = 2) -> Generator[Placed, None, None]:
    """Yields place(item) of each, prepared up to `depth` ahead of the one in use; place may put it on a device.

    What items or place raise is raised here, in its turn. Closing it ends its thread: use it within
    contextlib.closing() where it may be left early.
    """
    source = iter(items)

    def prepare() -> tuple[Placed] | None:
        for item in source:
            return (place(item),)
        return None

    pool = ThreadPoolExecutor(1, "prefetch")  # one thread, so that one item is prepared at a time, in order
    try:
        pending = deque(pool.submit(prepare) for _ in range(depth))
        while prepared := pending.popleft().result():
            pending.append(pool.submit(prepare))
            yield prepared[0]
    finally:
        pool.shutdown(cancel_futures=True)
