"""pypi:NAME, pypi:NAME==VERSION and pypi:@FILE: wheels from the package index, of which nothing is built or run."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources.archives import normalised, read, survey
from codex_jax.sources.source import Item, Part, register
from codex_jax.storage.paths import storage_path

# PEP 508's name and PEP 440's characters; neither can begin an option, a path or an address.
REQUIREMENT = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)(==[A-Za-z0-9][A-Za-z0-9.!+_-]*)?")
SIZE = 1 << 20  # bytes: nobody knows before the download
TIMEOUT = 900  # seconds a download


@register("pypi")
def pypi(argument: str) -> Iterator[Part]:
    """pypi:NAME[==VERSION], or pypi:@FILE of them, one a line; each is downloaded by the worker that reads it."""
    seen = set()
    for place, line in _listed(argument) if argument.startswith("@") else [(f"pypi:{argument}", argument)]:
        found = REQUIREMENT.fullmatch(line)
        if not found:
            raise InputError(f"{place}: {line!r} is no NAME or NAME==VERSION")
        requirement = normalised(found[1]) + (found[2] or "")
        if requirement not in seen:
            seen.add(requirement)
            yield Part(f"pypi:{requirement}", SIZE, download_and_read, (requirement,))


def _listed(argument: str) -> list[tuple[str, str]]:
    path = storage_path(argument[1:])
    try:
        with path.open("rb") as file:
            lines = file.read().decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}: give pypi:@FILE with a name a line") from None
    listed = [(f"{path} line {number}", line.partition("#")[0].strip()) for number, line in enumerate(lines, 1)]
    if not any(line for _, line in listed):
        raise InputError(f"{path} names no package: give a name a line")
    return [(place, line) for place, line in listed if line]


def download_and_read(requirement: str) -> Iterator[Item]:
    """The items of a wheel; ids begin with NAME-VERSION. InputError where pip cannot get it."""
    with tempfile.TemporaryDirectory(prefix="codex_jax_") as folder:
        wheel = download(requirement, Path(folder))
        found = survey("wheel", wheel)
        yield from read("wheel", wheel, f"{found.name}-{found.version}")


def download(requirement: str, folder: Path) -> Path:
    """The wheel that pip chooses, in folder; InputError where there is none."""
    # -P: a folder called pip where the command was started must not be run in its stead.
    command = [sys.executable, "-P", "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
    command += ["--no-deps", "--only-binary", ":all:", "--no-cache-dir", "-d", str(folder), "--", requirement]
    try:
        done = subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=TIMEOUT, check=False)
    except subprocess.TimeoutExpired:
        raise InputError(f"pypi:{requirement}: pip took over {TIMEOUT} s: see whether the index answers") from None
    wheels = sorted(folder.glob("*.whl"))
    if done.returncode or len(wheels) != 1:
        said = [line.strip() for line in done.stderr.decode("utf-8", "replace").splitlines() if line.strip()]
        errors = [line.removeprefix("ERROR: ") for line in said if line.startswith("ERROR: ")] or said
        reason = errors[-1] if errors else "it gives no reason"
        raise InputError(f"pypi:{requirement}: pip got no wheel: {reason}: see the name, the version and the network")
    return wheels[0]
