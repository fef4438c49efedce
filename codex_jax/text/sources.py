"""Where documents come from: a registry of sources by prefix, each a generator of documents."""

import gzip
import io
import json
import sysconfig
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

from codex_jax.errors import InputError
from codex_jax.text.document import Document

Source = Callable[[str], Iterator[Document | None]]  # None: a file that cannot be decoded
SOURCES: dict[str, Source] = {}
TEST_FOLDERS = {"test", "tests", "idle_test", "site-packages", "__pycache__"}


def register(prefix: str) -> Callable[[Source], Source]:
    """Makes `prefix:ARGUMENT` (or `prefix` alone) a source."""

    def add(source: Source) -> Source:
        SOURCES[prefix] = source
        return source

    return add


def read_source(spec: str) -> Iterator[Document | None]:
    """The documents of a spec such as stdlib or dir:PATH; InputError where the prefix is unknown."""
    prefix, _, argument = spec.partition(":")
    if prefix not in SOURCES:
        raise InputError(f"unknown source {spec!r}: give one of {', '.join(sorted(SOURCES))}, such as dir:PATH")
    return SOURCES[prefix](argument)


def decode_python(data: bytes) -> str | None:
    """Source text by its PEP 263 declaration, or None."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
        return text if _is_utf8(text) else None
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None


def _is_utf8(text: str) -> bool:
    # Some encodings, and JSON's escapes, let lone surrogates through.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def open_lines(path: Path) -> Iterator[str]:
    """The lines of a text file, or of a .gz of one; InputError where it cannot be read to its end."""
    number = 0
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            for line in file:
                number += 1
                yield line
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path} after line {number}: {error}") from None


def _python_files(root: Path, skip: set[str]) -> Iterator[Document | None]:
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if skip & set(parts[:-1]) or path.is_symlink() or not path.is_file():
            continue
        try:
            text = decode_python(path.read_bytes())
        except OSError:
            text = None
        name = "/".join(parts)
        yield None if text is None else Document(name, parts[0].removesuffix(".py"), name, text)


@register("stdlib")
def stdlib(_: str) -> Iterator[Document | None]:
    """The running Python's own library without its tests; repo is the top-level package."""
    return _python_files(Path(sysconfig.get_path("stdlib")), TEST_FOLDERS)


@register("dir")
def directory(argument: str) -> Iterator[Document | None]:
    """dir:PATH: all Python files below a folder; repo is the first folder's name."""
    root = Path(argument)
    if not root.is_dir():
        raise InputError(f"no folder {argument!r}: give dir:PATH of one that holds Python files")
    return _python_files(root, {"__pycache__", ".git"})


@register("jsonl")
def json_lines(argument: str) -> Iterator[Document | None]:
    """jsonl:PATH?text=content&repo=repo_name: a document a line, in these columns; path= and license= where there are.

    A line that is not an object, or has no text, is counted as not decodable; one without a repo is its own.
    """
    name, _, query = argument.partition("?")
    columns = {"text": "content", "repo": "repo_name", "path": "path", "license": "license"}
    for key, values in parse_qs(query, keep_blank_values=True).items():
        if key not in columns:
            raise InputError(f"jsonl:{argument}: no column is called {key!r}: give {', '.join(columns)}")
        columns[key] = values[-1]
    path = Path(name)
    if not path.is_file():
        raise InputError(f"no file {name!r}: give jsonl:PATH?text=COLUMN&repo=COLUMN")
    return _json_lines(path, columns)


def _json_lines(path: Path, columns: dict[str, str]) -> Iterator[Document | None]:
    for number, line in enumerate(open_lines(path), 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        values = {key: row.get(column) for key, column in columns.items()} if isinstance(row, dict) else {}
        text = values.get("text")
        if not isinstance(text, str) or not _is_utf8(text):
            yield None
            continue
        place = f"{path.name}:{number}"
        found = {key: value if isinstance(value, str) and value else "" for key, value in values.items()}
        repo, name = found["repo"] or place, found["path"] or place
        yield Document(f"{repo}/{name}:{number}", repo, name, text, license=found["license"])


@register("problems")
def problems(argument: str) -> Iterator[Document | None]:
    """problems:FILE.jsonl[.gz] in HumanEval's form: the prompt carries no loss, the solution does."""
    path = Path(argument)
    if not path.is_file():
        raise InputError(f"no problems file {argument!r}")
    return _problems(path)


def _problems(path: Path) -> Iterator[Document]:
    for number, line in enumerate(open_lines(path), 1):
        if not line.strip():
            continue
        try:
            values = json.loads(line)
            task, prompt, solution = (values[name] for name in ("task_id", "prompt", "canonical_solution"))
            usable = all(isinstance(value, str) and _is_utf8(value) for value in (task, prompt, solution))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{path} line {number} is not a problem ({error!r})") from None
        if not usable:
            raise InputError(f"{path} line {number} is not a problem: task_id, prompt and solution must be text")
        yield Document(task, task, task, solution, prompt)
