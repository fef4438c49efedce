"""Stop strings, which span tokens: an automaton over bytes, compiled to a table over tokens for the device."""

from collections import deque
from collections.abc import Sequence

import numpy as np

PAPER_STOPS = ("\nclass", "\ndef", "\n#", "\nif", "\nprint")  # paper section 3.2


def byte_automaton(stops: Sequence[bytes], absorb: bool = True) -> tuple[np.ndarray, int]:
    """Aho-Corasick as a table: (int32 [states, 256] of next states, the absorbing state of a match). State 0 starts.

    absorb: False passes over matches and only remembers what may yet become one; its states are the same.
    """
    children: list[dict[int, int]] = [{}]
    ends = [False]
    for stop in stops:
        if not stop:
            raise ValueError("a stop string is empty")
        state = 0
        for byte in stop:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                ends.append(False)
            state = children[state][byte]
        ends[state] = True
    table = np.zeros((len(children) + 1, 256), np.int32)
    matched = len(children)
    failure = [0] * len(children)
    queue = deque([0])
    while queue:
        state = queue.popleft()
        ends[state] = ends[state] or ends[failure[state]]
        if state:
            table[state] = table[failure[state]]
        for byte, child in children[state].items():
            failure[child] = table[failure[state], byte] if state else 0
            table[state, byte] = child
            queue.append(child)
    if absorb:
        table[:matched][np.isin(table[:matched], np.flatnonzero(ends))] = matched
    table[matched] = matched
    return table, matched


def token_automaton(stops: Sequence[str], token_bytes: Sequence[bytes], absorb: bool = True) -> tuple[np.ndarray, int]:
    """(int32 [states, vocabulary] of next states, the matched state): a whole token's bytes in one look-up."""
    table, matched = byte_automaton([stop.encode() for stop in stops], absorb)
    lengths = np.array([len(piece) for piece in token_bytes])
    padded = np.zeros((len(token_bytes), max(lengths.max(initial=0), 1)), np.uint8)
    for n, piece in enumerate(token_bytes):
        padded[n, : len(piece)] = np.frombuffer(piece, np.uint8)
    states = np.repeat(np.arange(len(table), dtype=np.int32)[:, None], len(token_bytes), axis=1)
    for position in range(padded.shape[1]):
        live = np.flatnonzero(lengths > position)
        states[:, live] = table[states[:, live], padded[live, position]]
    return states, matched


def cut(data: bytes, stops: Sequence[str], after: int = 0) -> tuple[bytes, bool]:
    """(what lies before the first stop string that is completed behind the first `after` bytes, whether one is)."""
    found = []
    for stop in map(str.encode, stops):
        start = data.find(stop, max(0, after - len(stop) + 1))
        if start >= 0:
            found.append((start + len(stop), start))
    return (data[: min(found)[1]], True) if found else (data, False)
