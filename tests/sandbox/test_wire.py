import math
import os
import sys

import pytest

from codex_jax.sandbox import wire
from codex_jax.sandbox.wire import LimitError, Pipe, WireError, dump, frame, parse


@pytest.mark.parametrize(
    "content",
    [None, True, 0, -(2**70), 1.5, -0.0, 5e-324, math.inf, "", "a\0b", "\ud800", "\ud83d\ude00", "é" * 3, [[], ["x"]]],
)
def test_plain_data_survives(content):
    kind, received = parse(dump(["kind", content]))
    assert (kind, repr(received)) == ("kind", repr(content))


def test_every_nan_is_another_object():
    first, second = parse(dump(["kind", [math.nan, math.nan]]))[1]
    assert math.isnan(first)
    assert first is not second


@pytest.mark.parametrize("limit", [0, 640, 4300])
def test_long_integers_survive_whatever_a_program_sets_as_their_limit(limit):
    before = sys.get_int_max_str_digits()
    sys.set_int_max_str_digits(limit)
    try:
        data = dump(["kind", 10**20000, [3, 10**640, (-(10**4299), 10**5000)]])
        assert sys.get_int_max_str_digits() == limit
    finally:
        sys.set_int_max_str_digits(before)
    _, large, (small, middle, (negative, other)) = parse(data)
    values = [int(part["int"], 16) if isinstance(part, dict) else part for part in (large, middle, negative, other)]
    assert values == [10**20000, 10**640, -(10**4299), 10**5000]
    assert small == 3


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"[]", b"1", b"null", b"[1]", b'{"a": 1}', b'["a"] ', b' ["a"]', b'["a"]["b"]', b'["a", ]', b"\xff"),
        b"[" * 50_000,
        b'["a", ' + b"9" * 5000 + b"]",
    ],
)
def test_forged_messages_are_refused(data):
    with pytest.raises(WireError):
        parse(data)


def test_a_message_that_is_too_large_is_a_limit(monkeypatch):
    monkeypatch.setattr(wire, "MAX_BYTES", 100)
    dump(["a" * 90])
    with pytest.raises(LimitError, match="MiB"):
        dump(["a" * 100])
    incoming, outgoing = os.pipe()
    os.write(outgoing, frame(bytes(101)))
    with pytest.raises(LimitError, match="MiB"):
        Pipe(incoming, outgoing).receive()
    os.close(incoming)
    os.close(outgoing)


def test_messages_are_read_one_by_one_and_the_end_is_noticed():
    incoming, outgoing = os.pipe()
    pipe = Pipe(incoming, outgoing)
    messages = [b"", b"a" * 10, b"b" * 5000, b"c"]
    for message in messages:
        pipe.send(message)
    assert [pipe.receive() for _ in messages] == messages
    assert pipe.received == sum(map(len, messages))
    os.write(outgoing, frame(b"half")[:-1])
    os.close(outgoing)
    with pytest.raises(EOFError):
        pipe.receive()
    os.close(incoming)
