"""A pipe: prompts arrive as JSON lines, and each sample is written as a JSON line when it is done."""

import json
import os
import select
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TextIO

from codex_jax.errors import InputError
from codex_jax.sampling.generate import Completion
from codex_jax.sampling.params import Sample, SampleRequest
from codex_jax.sampling.sampler import task_key
from codex_jax.storage.jsonl import Json, parse
from codex_jax.text.encoding import is_utf8

PAUSE = 0.05  # seconds without new bytes, after which the lines read so far are sampled together
READ_BYTES = 2**16  # most bytes read at a time
BATCH_BYTES = 2**24  # most bytes of lines sampled together


def sample_lines(
    source: int,
    out: TextIO,
    encode: Callable[[str], list[int]],
    sample: Callable[[Sequence[SampleRequest]], Iterable[Completion]],
    n: int,
    to_row: Callable[[str, int, Sample, str], Json],
) -> None:
    """Reads lines {"task_id", "prompt"} from a file descriptor; writes n lines of samples.jsonl for each, flushed.

    to_row(task_id, number, sample, prompt) makes a line. Lines that arrive together are sampled together. InputError
    names the first broken line, after the lines before it are answered; nothing after it is read.
    """
    number = 0
    for lines in read_batches(source):
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
        for completion in sample(requests):
            task_id, prompt = problems[completion.request]
            print(json.dumps(to_row(task_id, completion.number, completion.sample, prompt)), file=out, flush=True)
        if fault:
            raise fault


def read_batches(source: int) -> Iterator[list[bytes]]:
    """Yields the complete lines read so far whenever the writer pauses, and at the end an incomplete one.

    While the caller works on a batch nothing is read, so a fast writer has to wait.
    """
    rest = b""
    piece = os.read(source, READ_BYTES)
    while piece:
        data = bytearray(rest)
        while piece:
            data += piece
            if len(data) >= BATCH_BYTES or not select.select([source], [], [], PAUSE)[0]:
                break
            piece = os.read(source, READ_BYTES)
        *lines, rest = bytes(data).split(b"\n")
        # To bound memory, a line longer than a batch is cut; it is then reported as broken.
        if not piece or len(rest) >= BATCH_BYTES:
            lines, rest = [*lines, rest], b""
        yield lines
        piece = piece and os.read(source, READ_BYTES)
    if rest:
        yield [rest]


def read_problem(line: bytes) -> tuple[str, str]:
    """(task_id, prompt) of a line; InputError says what is wrong with it."""
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
