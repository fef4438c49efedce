"""The sources jsonl:PATH, one document per line, and problems:FILE, prompts with their solutions."""

from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources.columns import Columns, as_text, split_argument
from codex_jax.sources.files import find_files
from codex_jax.sources.source import Item, Part
from codex_jax.storage.compressed import READ_ERRORS, compression, open_stream
from codex_jax.storage.jsonl import MAX_LINE, parse, read_objects, skip_line
from codex_jax.storage.paths import StoragePath, size_of, storage_path
from codex_jax.text.document import Document, Rejected
from codex_jax.text.encoding import BOM, escape_surrogates, is_utf8

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.bz2", ".jsonl.xz", ".jsonl.zst", ".json.gz")
PART_BYTES = 64 << 20


def json_lines(argument: str) -> Iterator[Part]:
    """jsonl:PATH?text=content&repo=repo_name&path=path&license=license: a file, a folder or a glob.

    A line without that text may have "text" instead, or "prompt" and "completion", of which only the second is learnt.
    A document's id is FILE:OFFSET, with its line's offset in decompressed bytes. It is also the default repo and path.
    """
    name, given = split_argument("jsonl", argument)
    columns = Columns(**{"text": "content", "repo": "repo_name", "path": "path", "license": "license"} | given)
    for label, path in find_files("jsonl", name, SUFFIXES):
        size = size_of(path)
        step = max(size, 1) if compression(path) else PART_BYTES  # a compressed file can only be read from its start
        for start in range(0, size, step):
            end = min(start + step, size)
            arguments = (path, label, columns, start, None if end == size else end)
            yield Part(f"jsonl:{label}@{start}-{end}", end - start, read, arguments)


def read(path: StoragePath, label: str, columns: Columns, start: int, end: int | None) -> Iterator[Item]:
    """Yields the items of lines that begin in bytes start to end (None: file end). InputError if unreadable."""
    offset = start
    try:
        with open_stream(path) as file:
            if start:
                file.seek(start - 1)
                offset = start - 1 + skip_line(file, None if end is None else end - start + 1)
            while end is None or offset < end:
                line = file.readline(MAX_LINE)
                if not line:
                    return
                id_ = f"{label}:{offset}"
                offset += len(line)
                if len(line) == MAX_LINE and not line.endswith(b"\n"):
                    offset += skip_line(file, None)
                    yield Rejected(id_, "malformed_line")
                elif line.strip():
                    yield parse_line(line, id_, columns)
    except READ_ERRORS as error:
        raise InputError(f"cannot read {path} after byte {offset} of its text: {error}: download it again") from None


def parse_line(line: bytes, id_: str, columns: Columns) -> Item:
    """The document on a line, or why it is rejected."""
    try:
        decoded = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        return Rejected(id_, "not_decodable")
    fault, row = parse(decoded)
    if fault:
        return Rejected(id_, "malformed_line")
    prompt, text = "", row.get(columns.text, row.get("text"))
    if text is None and isinstance(row.get("prompt"), str):
        prompt, text = row["prompt"], row.get("completion")
    if not isinstance(text, str):
        return Rejected(id_, "missing_text")
    if not is_utf8(prompt + text):
        return Rejected(id_, "not_decodable")
    names = (columns.repo, columns.path, columns.license)
    repo, path, license_ = (escape_surrogates(as_text(row.get(name))) for name in names)
    return Document(id_, repo or id_, path or id_, text.removeprefix(BOM), prompt, license_)


def problems(argument: str) -> Iterator[Part]:
    """problems:FILE.jsonl[.gz]: HumanEval's format. Only the solutions are trained on. repo: the task id."""
    path = storage_path(argument)
    if isinstance(path, Path) and not path.is_file():
        raise InputError(f"no problems file {argument!r}: give problems:FILE.jsonl or problems:FILE.jsonl.gz")
    yield Part(f"problems:{path.name}", size_of(path), read_problems, (path,))


def read_problems(path: StoragePath) -> Iterator[Item]:
    """Yields problems as documents. InputError names the first bad line."""
    for row in read_objects(path, ("task_id", "prompt", "canonical_solution")):
        task, prompt, solution = row["task_id"], row["prompt"], row["canonical_solution"]
        if not all(map(is_utf8, (task, prompt, solution))):
            raise InputError(f"{path}: problem {task!r} is not UTF-8 text")
        yield Document(task, task, task, solution, prompt)
