import threading
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_jax.records.prefetch import prefetch


def prefetch_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_order_is_kept(items, depth):
    assert list(prefetch(items, lambda item: -item, depth)) == [-item for item in items]
    assert not prefetch_threads()


def test_items_are_prepared_ahead_and_no_further():
    prepared, third, fourth = [], threading.Event(), threading.Event()

    def prepare(item):
        prepared.append(item)
        {2: third, 3: fourth}.get(item, threading.Event()).set()
        return item

    with closing(prefetch(range(100), prepare, 2)) as items:
        assert next(items) == 0
        assert third.wait(10)  # prepared while item 0 is in use
        assert prepared == [0, 1, 2]
        assert next(items) == 1
        assert fourth.wait(10)
        assert prepared == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["items", "prepare"])
def test_exceptions_are_raised_at_their_item(where):
    def source():
        for item in range(10):
            if where == "items" and item == 3:
                raise OSError("the disk is gone")
            yield item

    def prepare(item):
        if where == "prepare" and item == 3:
            raise OSError("the disk is gone")
        return item

    items = prefetch(source(), prepare)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
    assert not prefetch_threads()


def test_closing_early_stops_the_thread():
    with closing(prefetch(iter(int, 1), lambda item: item)) as items:
        next(items)
        assert len(prefetch_threads()) == 1
    assert not prefetch_threads()
    prefetch(range(3), lambda item: item).close()
    assert not prefetch_threads()
