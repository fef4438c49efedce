"""Where documents come from: a registry of sources by prefix, each a generator of documents."""

import gzip
import io
import json
import sysconfig
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path

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
        return data.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return None


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


@register("problems")
def problems(argument: str) -> Iterator[Document | None]:
    """problems:FILE.jsonl[.gz] in HumanEval's form: the prompt carries no loss, the solution does."""
    path = Path(argument)
    if not path.is_file():
        raise InputError(f"no problems file {argument!r}")
    return _problems(path)


def _problems(path: Path) -> Iterator[Document]:
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            try:
                values = json.loads(line)
                task = values["task_id"]
                yield Document(task, task, task, values["canonical_solution"], values["prompt"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{path} line {number} is not a problem ({error!r})") from None
