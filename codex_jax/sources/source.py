"""The registry of sources. A specification such as dir:PATH becomes parts, each of which one worker reads."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from codex_jax.errors import InputError
from codex_jax.text.document import Document, Rejected

Item = Document | Rejected
BUILT_IN = ("folders", "git", "jsonlines", "parquet", "archives", "pypi")
ENTRY_POINTS = "codex_jax.sources"  # other packages' sources: the entry point's name is the prefix


@dataclass(frozen=True)
class Part:
    """A piece of a source that one worker reads."""

    name: str  # unique within the specification, and the same on every run
    size: int  # bytes, an estimate for progress
    read: Callable[..., Iterator[Item]]  # a module-level function, so that it can be pickled
    arguments: tuple[Any, ...]

    def documents(self) -> Iterator[Item]:
        """Yields the part's items, always in the same order. InputError if it cannot be read to its end."""
        return self.read(*self.arguments)


Source = Callable[[str], Iterable[Part]]  # from the text after the prefix
SOURCES: dict[str, Source] = {}


def register(prefix: str) -> Callable[[Source], Source]:
    """A decorator that makes a function the source of `prefix:ARGUMENT` (or of `prefix` alone)."""

    def add(source: Source) -> Source:
        SOURCES[prefix] = source
        return source

    return add


def parts(spec: str) -> list[Part]:
    """The parts of a specification such as stdlib or dir:PATH. InputError if the prefix or argument is invalid."""
    for module in BUILT_IN:
        import_module(f"codex_jax.sources.{module}")
    prefix, _, argument = spec.partition(":")
    if prefix not in SOURCES:
        _load_entry_point(prefix)
    return list(SOURCES[prefix](argument))


def _load_entry_point(prefix: str) -> None:
    # Loads only the requested source, so that a broken one of another package does no harm.
    available = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if prefix not in available:
        known = ", ".join(sorted({*SOURCES, *available}))
        raise InputError(f"unknown source {prefix!r}: give one of {known}, such as dir:PATH")
    try:
        SOURCES[prefix] = available[prefix].load()
    except Exception as error:
        raise InputError(f"the source {prefix!r} at {available[prefix].value} cannot be loaded: {error}") from error
