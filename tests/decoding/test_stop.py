import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from codex_jax.decoding.stop import PAPER_STOPS, cut, token_automaton

PIECES = [b"", b"a", b"b", b"ab", b"\n", b"\nd", b"ef", b"\ndef", b"#", b"\n\n", "é".encode(), "é".encode()[:1]]


@given(
    st.lists(st.integers(0, len(PIECES) - 1), max_size=20),
    st.lists(st.text("ab\ndef#", min_size=1, max_size=4), min_size=1, max_size=4),
)
def test_device_table_stops_where_a_string_search_does(ids, stops):
    table, matched = token_automaton(stops, PIECES)
    state, data = 0, b""
    for token in ids:
        state, data = table[state, token], data + PIECES[token]
        assert (state == matched) == any(stop.encode() in data for stop in stops)


def test_no_stops_never_match():
    table, matched = token_automaton([], PIECES)
    assert not np.any(table[:matched] == matched)


def test_cut_takes_the_stop_that_is_completed_first():
    assert cut("  return s\n\ndef f", PAPER_STOPS) == ("  return s\n", True)
    assert cut("abc", ("c", "abcd")) == ("ab", True)
    assert cut("abc", ()) == ("abc", False)
