"""A pipe: prompts come in as JSON lines, and each sample leaves as one when it finishes."""

import json
import os
import select
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from codex_jax.errors import InputError
from codex_jax.sampling.params import Sample, SampleRequest
from codex_jax.sampling.sampler import task_key
from codex_jax.storage.jsonl import Json, parse
from codex_jax.text.encoding import is_utf8

SILENCE = 0.05  # seconds without a byte: what has arrived by then is sampled together
PIECE = 2**16  # bytes read at a time
MOST = 2**24  # bytes that are sampled together

Draws = Callable[[Sequence[SampleRequest]], Iterator[tuple[int, int, Sample]]]  # as Engine.sample, with the rest bound
RowOf = Callable[[str, int, Sample, str], Json]  # of a task, a number, its sample and the prompt


def sample_lines(
    source: int, out: TextIO, encode: Callable[[str], list[int]], draws: Draws, n: int, row: RowOf
) -> None:
    """Answers each line {"task_id", "prompt"} of a file descriptor with n lines of samples.jsonl, flushed.

    Lines that have arrived are sampled together. InputError names the first broken line; what came before it is
    answered, and nothing behind it is read.
    """
    number = 0
    for lines in arrivals(source):
        problems: list[tuple[str, str]] = []
        requests: list[SampleRequest] = []
        fault = None
        for line in lines:
            number += 1
            try:
                if line.strip():
                    task_id, prompt = read_problem(line)
                    requests.append(SampleRequest(encode(prompt), task_key(task_id), range(n)))
                    problems.append((task_id, prompt))
            except InputError as error:
                fault = InputError(f"stdin line {number}: {error}")
                break
        for request, sample_number, sample in draws(requests):
            task_id, prompt = problems[request]
            print(json.dumps(row(task_id, sample_number, sample, prompt)), file=out, flush=True)
        if fault:
            raise fault


def arrivals(source: int) -> Iterator[list[bytes]]:
    """The whole lines that have come, each time that no more do for a while; at the end also one without its newline.

    What comes meanwhile stays in the pipe, and its writer waits.
    """
    rest = b""
    piece = os.read(source, PIECE)
    while piece:
        data = bytearray(rest)
        while piece:
            data += piece
            if len(data) >= MOST or not select.select([source], [], [], SILENCE)[0]:
                break
            piece = os.read(source, PIECE)
        *lines, rest = bytes(data).split(b"\n")
        if not piece or len(rest) >= MOST:  # no prompt is so long: cut here it is a broken line, and not all of memory
            lines, rest = [*lines, rest], b""
        yield lines
        piece = piece and os.read(source, PIECE)
    if rest:
        yield [rest]


def read_problem(line: bytes) -> tuple[str, str]:
    """(task_id, prompt); InputError says what is wrong with the line."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 ({error.reason} at byte {error.start})") from None
    reason, row = parse(text, ("task_id", "prompt"))
    if reason:
        raise InputError(reason)
    for name in ("task_id", "prompt"):
        if not is_utf8(row[name]):
            raise InputError(f"{name!r} has half a surrogate pair")
    return row["task_id"], row["prompt"]
