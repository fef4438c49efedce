"""Stop strings, which may span tokens: an automaton over bytes, compiled to a table over tokens for the device."""

from collections import deque
from collections.abc import Sequence

import numpy as np


def byte_automaton(stops: Sequence[bytes], absorb: bool = True) -> tuple[np.ndarray, int]:
    """Aho-Corasick as a table: (int32 [states, 256], the next state by state and byte; the state of a match).

    State 0 is the start. absorb: whether a match leads to the state of a match, which is never left.
    """
    children: list[dict[int, int]] = [{}]
    accepts = [False]
    for stop in stops:
        if not stop:
            raise ValueError("a stop string is empty")
        state = 0
        for byte in stop:
            if byte not in children[state]:
                children[state][byte] = len(children)
                children.append({})
                accepts.append(False)
            state = children[state][byte]
        accepts[state] = True
    table = np.zeros((len(children) + 1, 256), np.int32)
    matched = len(children)
    failure = [0] * len(children)
    queue = deque([0])
    while queue:
        state = queue.popleft()
        accepts[state] = accepts[state] or accepts[failure[state]]
        if state:
            table[state] = table[failure[state]]
        for byte, child in children[state].items():
            failure[child] = table[failure[state], byte] if state else 0
            table[state, byte] = child
            queue.append(child)
    if absorb:
        table[:matched][np.isin(table[:matched], np.flatnonzero(accepts))] = matched
    table[matched] = matched
    return table, matched


def token_automaton(stops: Sequence[str], token_bytes: Sequence[bytes], absorb: bool = True) -> tuple[np.ndarray, int]:
    """As byte_automaton, with a table over tokens: int32 [states, V]. A lookup consumes all bytes of a token."""
    table, matched = byte_automaton([stop.encode() for stop in stops], absorb)
    lengths = np.array([len(piece) for piece in token_bytes])
    padded = np.zeros((len(token_bytes), max(lengths.max(initial=0), 1)), np.uint8)
    for n, piece in enumerate(token_bytes):
        padded[n, : len(piece)] = np.frombuffer(piece, np.uint8)
    states = np.repeat(np.arange(len(table), dtype=np.int32)[:, None], len(token_bytes), axis=1)
    for position in range(padded.shape[1]):
        longer = np.flatnonzero(lengths > position)
        states[:, longer] = table[states[:, longer], padded[longer, position]]
    return states, matched


def cut(data: bytes, stops: Sequence[str], after: int = 0) -> tuple[bytes, bool]:
    """(the bytes before the first stop string, whether there is one). The first is the one that ends first.

    Stop strings that end within the first `after` bytes do not count.
    """
    matches = []
    for stop in map(str.encode, stops):
        start = data.find(stop, max(0, after - len(stop) + 1))
        if start >= 0:
            matches.append((start + len(stop), start))
    return (data[: min(matches)[1]], True) if matches else (data, False)
