import io
import json
import os
import threading

import pytest

from codex_jax.errors import InputError
from codex_jax.sampling.generate import Completion
from codex_jax.sampling.params import Sample
from codex_jax.sampling.pipe import BATCH_BYTES, read_batches, sample_lines
from codex_jax.sampling.sampler import task_key
from codex_jax.sampling.samples_file import sample_fingerprint, to_row

N = 3


def encode(prompt):
    if len(prompt) > 100:
        raise InputError("a prompt of so many tokens leaves no room")
    return [0, *prompt.encode()]


def sample(requests):
    """Without a model: a sample's text says what was requested. The last sample comes first."""
    for number in reversed(range(N)):
        for place, request in enumerate(requests):
            assert list(request.numbers) == list(range(N))
            text = f"{request.tokens} {request.task} {number}"
            yield Completion(place, number, Sample(text, 1, -1.0, -1.0, -1.0, -1.0, "stop"), None)


def row_of(task_id, number, sample, prompt):
    return to_row(task_id, number, sample, 0.5, sample_fingerprint({"seed": 3}, prompt))


def answer(source, out):
    sample_lines(source, out, encode, sample, N, row_of)


def answered(data):
    """(rows, InputError or None) for a file that is piped in."""
    source, sink = os.pipe()
    writer = threading.Thread(target=lambda: (os.write(sink, data), os.close(sink)))
    writer.start()
    out, fault = io.StringIO(), None
    try:
        answer(source, out)
    except InputError as error:
        fault = error
    writer.join()
    os.close(source)
    return [json.loads(line) for line in out.getvalue().splitlines()], fault


def line(task_id, prompt, **more):
    return json.dumps({"task_id": task_id, "prompt": prompt, **more}).encode() + b"\n"


def test_all_of_a_piped_file_is_answered():
    problems = [(f"t/{n}", "x = 1\n" * n) for n in range(4)]
    data = b"\n".join(line(*problem, test="ignored", entry_point=7) for problem in problems)  # with blank lines
    rows, fault = answered(data.rstrip(b"\n"))
    assert fault is None
    expected = {(name, k): f"{encode(prompt)} {task_key(name)} {k}" for name, prompt in problems for k in range(N)}
    assert {(row["task_id"], row["sample"]): row["completion"] for row in rows} == expected
    assert len(rows) == 4 * N
    assert [row["sample"] for row in rows[:4]] == [N - 1] * 4  # sampled together, written when they are done
    assert {row["fingerprint"] for row in rows} == {sample_fingerprint({"seed": 3}, prompt) for _, prompt in problems}


def test_each_line_can_be_answered_before_the_next_is_written():
    source, sink = os.pipe()
    answers, out = os.pipe()
    writer = os.fdopen(out, "w")
    thread = threading.Thread(target=lambda: (answer(source, writer), writer.close()))
    thread.start()
    with os.fdopen(answers) as reader:
        for n in range(3):
            os.write(sink, line(f"t/{n}", "abc" * n)[:10])
            os.write(sink, line(f"t/{n}", "abc" * n)[10:])
            rows = [json.loads(reader.readline()) for _ in range(N)]  # hangs unless each line is flushed
            assert {(row["task_id"], row["sample"]) for row in rows} == {(f"t/{n}", k) for k in range(N)}
        os.close(sink)
        thread.join()
        assert reader.read() == ""
    os.close(source)


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        (b"{\n", "not JSON"),
        (b"[1]\n", "not an object"),
        (b'{"task_id": "t"}\n', "'prompt' is missing"),
        (line(3, "x"), "'task_id' is missing or not text"),
        (b'{"task_id": "t", "prompt": "\xff"}\n', "not UTF-8"),
        (b'{"task_id": "t", "prompt": "\\ud800"}\n', "'prompt' has half a surrogate pair"),
        (line("long", "x" * 101), "leaves no room"),
    ],
)
def test_a_broken_line_is_reported_after_the_lines_before_it_are_answered(broken, message):
    rows, fault = answered(line("t/0", "abc") + b"\n" + broken + line("t/1", "abc"))
    assert {row["task_id"] for row in rows} == {"t/0"}
    assert len(rows) == N
    assert str(fault).startswith("stdin line 3: ")
    assert message in str(fault)


def test_an_endless_line_is_cut_off():
    source, sink = os.pipe()

    def write():
        with os.fdopen(sink, "wb") as file:
            file.write(b"a\n" + b"x" * (BATCH_BYTES + 2**20) + b"\nb\n")

    writer = threading.Thread(target=write)
    writer.start()
    lines = [one for some in read_batches(source) for one in some if one]
    writer.join()
    os.close(source)
    assert lines[0] == b"a"
    assert lines[-1] == b"b"
    assert 2**24 <= max(map(len, lines)) < 2**24 + 2**18
