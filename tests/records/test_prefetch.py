import threading
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from codex_jax.records.prefetch import prefetch


def workers():
    return [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=20), st.integers(1, 5))
def test_order_is_kept(items, depth):
    assert list(prefetch(items, lambda item: -item, depth)) == [-item for item in items]
    assert not workers()


def test_items_are_prepared_ahead_and_no_further():
    prepared, third, fourth = [], threading.Event(), threading.Event()

    def place(item):
        prepared.append(item)
        {2: third, 3: fourth}.get(item, threading.Event()).set()
        return item

    with closing(prefetch(range(100), place, 2)) as items:
        assert next(items) == 0
        assert third.wait(10)  # while 0 is in use
        assert prepared == [0, 1, 2]
        assert next(items) == 1
        assert fourth.wait(10)
        assert prepared == [0, 1, 2, 3]


@pytest.mark.parametrize("where", ["items", "place"])
def test_exceptions_are_raised_in_their_turn(where):
    def source():
        for item in range(10):
            if where == "items" and item == 3:
                raise OSError("the disk is gone")
            yield item

    def place(item):
        if where == "place" and item == 3:
            raise OSError("the disk is gone")
        return item

    items = prefetch(source(), place)
    assert [next(items) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(OSError, match="the disk is gone"):
        next(items)
    assert not workers()


def test_leaving_early_leaves_no_thread():
    with closing(prefetch(iter(int, 1), lambda item: item)) as items:
        next(items)
        assert len(workers()) == 1
    assert not workers()
    prefetch(range(3), lambda item: item).close()
    assert not workers()
