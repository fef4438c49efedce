"""Finds the files that a source's argument names."""

import glob
import os
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.storage.paths import StoragePath, find_remote, is_remote
from codex_jax.text.encoding import escape_surrogates


def find_files(prefix: str, argument: str, suffixes: tuple[str, ...]) -> list[tuple[str, StoragePath]]:
    """Finds the files of a file, folder or glob, local or remote. InputError if there are none.

    Returns sorted pairs (name, path). The name is relative to the folder, or to the part of the glob without wildcards,
    with surrogates escaped. suffixes: which files of a folder to return. Links to files are followed, because data sets
    are often downloaded as links; links to folders are not.
    """
    files = find_remote(argument, suffixes) if is_remote(argument) else _find_local(prefix, argument, suffixes)
    if not files:
        raise InputError(f"no file {argument!r}: give {prefix}:PATH of a {' or '.join(suffixes)}, a folder or a glob")
    return [(escape_surrogates(name), path) for name, path in files]


def _find_local(prefix: str, argument: str, suffixes: tuple[str, ...]) -> list[tuple[str, StoragePath]]:
    path = Path(argument)
    if argument and path.is_dir():
        base, files = path, _walk(path, suffixes)
    elif argument and path.is_file():
        base, files = path.parent, [path]
    else:
        parts = path.parts
        fixed = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts))
        base, files = Path(*parts[:fixed]), []
        if fixed < len(parts):
            try:
                # The ** of glob.glob would follow links to folders, even in circles.
                files = list(base.glob("/".join(parts[fixed:])))
            except ValueError as error:
                raise InputError(f"{prefix}:{argument}: {error}") from None
    unique: dict[str, Path] = {}
    for file in sorted(files):
        if file.is_file():
            unique.setdefault(os.path.realpath(file), file)
    return [(file.relative_to(base).as_posix(), file) for file in unique.values()]


def _walk(root: Path, suffixes: tuple[str, ...]) -> list[Path]:
    def fail(error: OSError) -> None:
        raise InputError(f"cannot read {error.filename}: {error.strerror}")

    walk = os.walk(root, onerror=fail)
    return [Path(folder, name) for folder, _, names in walk for name in names if name.lower().endswith(suffixes)]
