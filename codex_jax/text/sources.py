"""Where documents come from: a registry of sources by prefix, each a generator of documents."""

import io
import sysconfig
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

from codex_jax.errors import InputError
from codex_jax.jsonl import parse, read_lines, read_objects
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
    for number, line in read_lines(path):
        _, row = parse(line)
        values = {key: row.get(column) for key, column in columns.items()}
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
    for row in read_objects(path, ("task_id", "prompt", "canonical_solution")):
        task, prompt, solution = row["task_id"], row["prompt"], row["canonical_solution"]
        if not all(map(_is_utf8, (task, prompt, solution))):
            raise InputError(f"{path}: problem {task!r} is not UTF-8 text")
        yield Document(task, task, task, solution, prompt)
