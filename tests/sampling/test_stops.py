import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from codex_jax.sampling.stops import byte_automaton, cut, token_automaton

PIECES = [b"", b"a", b"b", b"ab", b"\n", b"\nd", b"ef", b"\ndef", b"#", b"\n\n", "é".encode(), "é".encode()[:1]]


@given(
    st.lists(st.integers(0, len(PIECES) - 1), max_size=20),
    st.lists(st.text("ab\ndef#", min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(0, 8),
)
@example([4, 8], ["\n#"], 0)  # a stop string over two tokens
def test_device_tables_stop_where_a_string_search_does(ids, stops, min_tokens):
    table, matched = token_automaton(stops, PIECES)
    passing, same = token_automaton(stops, PIECES, absorb=False)
    assert same == matched
    state, data, after = 0, b"", 0
    for n, token in enumerate(ids):
        state, data = (passing if n < min_tokens else table)[state, token], data + PIECES[token]
        after = len(data) if n < min_tokens else after
        ends = [end for stop in stops for end in ends_of(stop.encode(), data)]
        assert (state == matched) == any(end > after for end in ends)
        text, stopped = cut(data, stops, after)
        assert stopped == (state == matched)
        if stopped:
            first = min(end for end in ends if end > after)
            longest = max(len(stop.encode()) for stop in stops if first in ends_of(stop.encode(), data))
            assert text == data[: first - longest]


def ends_of(stop, data):
    return [n + len(stop) for n in range(len(data)) if data.startswith(stop, n)]


def test_no_stops_never_match():
    table, matched = token_automaton([], PIECES)
    assert not np.any(table[:matched] == matched)


def test_an_empty_stop_string_is_an_error():
    with pytest.raises(ValueError, match="empty"):
        byte_automaton([b"a", b""])


def test_a_match_is_final():
    table, matched = byte_automaton([b"ab"])
    assert matched == 3  # after the start, "a" and "ab"
    assert (table[matched] == matched).all()
    assert table[table[0, ord("a")], ord("b")] == matched


def test_cut_takes_the_stop_that_is_completed_first():
    stops = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    assert cut(b"  return s\n\ndef f", stops) == (b"  return s\n", True)
    assert cut(b"abc", ("c", "abcd")) == (b"ab", True)
    assert cut(b"abc", ()) == (b"abc", False)
    assert cut(b"aaa", ("aa",), after=2) == (b"a", True)
    assert cut(b"aaa", ("aa",), after=3) == (b"aaa", False)
    assert cut("é!".encode(), ("!",)) == ("é".encode(), True)
