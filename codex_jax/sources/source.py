"""Finds the source of a specification such as dir:PATH and splits it into parts, each of which one worker reads."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from codex_jax.errors import InputError
from codex_jax.text.document import Document, Rejected

Item = Document | Rejected
Source = Callable[[str], Iterable["Part"]]  # a function of the text after the prefix
ENTRY_POINTS = "codex_jax.sources"  # other packages' sources: the entry point's name is the prefix
BUILT_IN = {
    "dir": "folders:directory",
    "git": "git:git",
    "jsonl": "jsonlines:json_lines",
    "parquet": "parquet:parquet",
    "problems": "jsonlines:problems",
    "pypi": "pypi:pypi",
    "sdist": "archives:sdist",
    "stdlib": "folders:stdlib",
    "tar": "archives:tar",
    "wheel": "archives:wheel",
    "zip": "archives:zip_",
}


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


def parts(spec: str) -> list[Part]:
    """The parts of a specification such as stdlib or dir:PATH. InputError if the prefix or argument is invalid."""
    prefix, _, argument = spec.partition(":")
    return list(_load(prefix)(argument))


def _load(prefix: str) -> Source:
    if prefix in BUILT_IN:
        module, _, function = BUILT_IN[prefix].partition(":")
        return getattr(import_module(f"codex_jax.sources.{module}"), function)
    available = {entry.name: entry for entry in entry_points(group=ENTRY_POINTS)}
    if prefix not in available:
        known = ", ".join(sorted({*BUILT_IN, *available}))
        raise InputError(f"unknown source {prefix!r}: give one of {known}, such as dir:PATH")
    try:
        return available[prefix].load()
    except Exception as error:
        raise InputError(f"the source {prefix!r} at {available[prefix].value} cannot be loaded: {error}") from error
