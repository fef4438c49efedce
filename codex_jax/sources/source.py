"""Sources by prefix: a spec such as dir:PATH becomes parts, and each part is read by one worker."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from codex_jax.errors import InputError
from codex_jax.text.document import Document, Rejected

Item = Document | Rejected
BUILT_IN = ("folders", "git", "jsonlines", "parquet", "archives", "pypi", "problem_files")
ENTRY_POINTS = "codex_jax.sources"  # a third party's: its name is the prefix, its object the source


@dataclass(frozen=True)
class Part:
    """A piece of a source that one worker reads."""

    name: str  # stable, and unique within the spec
    size: int  # bytes, an estimate, for progress
    read: Callable[..., Iterator[Item]]  # a module's own function: pickled by reference
    arguments: tuple[Any, ...]

    def documents(self) -> Iterator[Item]:
        """The part's items, always in the same order; InputError where it cannot be read to its end."""
        return self.read(*self.arguments)


Source = Callable[[str], Iterable[Part]]
SOURCES: dict[str, Source] = {}


def register(prefix: str) -> Callable[[Source], Source]:
    """Makes `prefix:ARGUMENT` (or `prefix` alone) a source."""

    def add(source: Source) -> Source:
        SOURCES[prefix] = source
        return source

    return add


def parts(spec: str) -> list[Part]:
    """The parts of a spec such as stdlib or dir:PATH; InputError for an unknown prefix or a bad argument."""
    for module in BUILT_IN:
        import_module(f"codex_jax.sources.{module}")
    prefix, _, argument = spec.partition(":")
    if prefix not in SOURCES:
        _load(prefix)
    return list(SOURCES[prefix](argument))


def _load(prefix: str) -> None:
    # Only the one that is asked for: another package's broken source is no concern of this run.
    found = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if prefix not in found:
        known = ", ".join(sorted({*SOURCES, *found}))
        raise InputError(f"unknown source {prefix!r}: give one of {known}, such as dir:PATH")
    try:
        SOURCES[prefix] = found[prefix].load()
    except Exception as error:
        raise InputError(f"the source {prefix!r} at {found[prefix].value} cannot be loaded: {error}") from error
