"""The source pypi:NAME, pypi:NAME==VERSION or pypi:@FILE: wheels from the package index. No package code is run."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources import pip_archive
from codex_jax.sources.archives import normalise_name, read, survey
from codex_jax.sources.source import Item, Part
from codex_jax.storage.paths import storage_path

# A PEP 508 name and a PEP 440 version. Neither can be mistaken for an option, a path or a URL.
REQUIREMENT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(==[A-Za-z0-9][A-Za-z0-9.!+_-]*)?")
PART_SIZE = 1 << 20  # bytes, a guess: the size is not known before the download
TIMEOUT = 900  # seconds per download


def pypi(argument: str) -> Iterator[Part]:
    """pypi:NAME[==VERSION], or pypi:@FILE with one of these per line. The worker that reads a package downloads it."""
    requirements = set()
    for place, line in _read_list(argument) if argument.startswith("@") else [(f"pypi:{argument}", argument)]:
        match = REQUIREMENT.fullmatch(line)
        if not match:
            raise InputError(f"{place}: {line!r} is not NAME or NAME==VERSION")
        requirement = normalise_name(match[1]) + (match[2] or "")
        if requirement not in requirements:
            requirements.add(requirement)
            yield Part(f"pypi:{requirement}", PART_SIZE, download_and_read, (requirement,))


def _read_list(argument: str) -> list[tuple[str, str]]:
    # Pairs (file and line number, requirement).
    path = storage_path(argument[1:])
    if isinstance(path, Path) and path.exists() and not path.is_file():
        raise InputError(f"{path} is not a file: give pypi:@FILE with one name per line")
    try:
        with path.open("rb") as file:
            lines = file.read().decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}: give pypi:@FILE with one name per line") from None
    listed = [(f"{path} line {number}", line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    if not any(line for _, line in listed):
        raise InputError(f"{path} names no package: give one name per line")
    return [(place, line) for place, line in listed if line]


def download_and_read(requirement: str) -> Iterator[Item]:
    """Yields the items of a wheel; their ids begin with NAME-VERSION. InputError if the download fails."""
    with tempfile.TemporaryDirectory(prefix="codex_jax_") as folder:
        wheel = download(requirement, Path(folder))
        metadata = survey("wheel", wheel)
        yield from read("wheel", wheel, f"{metadata.name}-{metadata.version}")


def download(requirement: str, folder: Path, pure: bool = False) -> Path:
    """Downloads the wheel that pip selects to a folder. InputError if there is none.

    pure: only a wheel without native code, for which pip may select an earlier version.
    """
    options = ["--only-binary", ":all:", *(("--platform", "any", "--implementation", "py", "--abi", "none") * pure)]
    result = _pip(requirement, ["-m", "pip"], options, folder)
    return _archive(folder.glob("*.whl"), requirement, "wheel", result)


def download_sdist(requirement: str, folder: Path) -> Path:
    """Downloads the source archive that pip selects to a folder, and runs none of its code. InputError if none."""
    with tempfile.TemporaryDirectory(prefix="codex_jax_") as scratch:
        program = [pip_archive.__file__, str(folder), scratch]
        result = _pip(requirement, program, ["--no-binary", ":all:"], Path(scratch) / "out")
    return _archive((path for path in folder.iterdir()), requirement, "source archive", result)


def _pip(requirement: str, program: list[str], options: list[str], folder: Path) -> subprocess.CompletedProcess[bytes]:
    # -P: do not import a folder named pip in the working directory.
    command = [sys.executable, "-P", *program, "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    command += ["--no-deps", *options, "--no-cache-dir", "-d", str(folder), "--", requirement]
    try:
        return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"pypi:{requirement}: pip took over {TIMEOUT} s: check the package index") from None


def _archive(found: Iterable[Path], requirement: str, kind: str, result: subprocess.CompletedProcess[bytes]) -> Path:
    paths = sorted(found)
    if len(paths) == 1 and (kind != "wheel" or not result.returncode):
        return paths[0]
    lines = [line.strip() for line in result.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")] or lines
    reason = errors[-1] if errors else "no reason given"
    raise InputError(f"pypi:{requirement}: pip found no {kind}: {reason}: check the name, the version and the network")
