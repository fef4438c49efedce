"""The source git:PATH: the Python files that git checkouts track."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources.folders import regular_size, split_files
from codex_jax.sources.source import Part
from codex_jax.storage.paths import only_local

# Checkouts are untrusted: git must not run programs named in their configuration, and must not fetch anything.
SAFE_CONFIG = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "safe.directory=*")
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


def git(argument: str) -> Iterator[Part]:
    """git:PATH: the tracked Python files of a checkout, or of each checkout in a folder. repo: its folder's name."""
    only_local("git", argument)
    root = Path(os.path.realpath(argument))
    if argument and (root / ".git").exists():
        checkouts = [root]
    elif argument and root.is_dir():
        checkouts = sorted(child for child in root.iterdir() if not child.is_symlink() and (child / ".git").exists())
    else:
        checkouts = []
    if not checkouts:
        raise InputError(f"{argument!r} is not a git checkout: give git:PATH of one, or of a folder of them")
    for checkout in checkouts:
        yield from split_files("git", str(checkout), tracked(checkout), repo=checkout.name)


def tracked(checkout: Path) -> list[tuple[str, int]]:
    """The tracked .py files as sorted pairs (relative path, bytes), without links and submodules."""
    # Git hooks set variables such as GIT_DIR, which would select another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": str(checkout.parent)}
    options = [word for setting in SAFE_CONFIG for word in ("-c", setting)]
    command = ["git", "-C", str(checkout), *options, "ls-files", "-z", "--cached", "--stage"]
    try:
        listing = subprocess.run(command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed: install it, or give dir:PATH instead") from None
    if listing.returncode:
        reason = listing.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
        raise InputError(f"git cannot list {checkout}: {''.join(reason) or 'no reason given'}")
    files: dict[str, int] = {}  # a dict, because a file with merge conflicts is listed once per side
    for entry in listing.stdout.split(b"\0"):
        mode, _, rest = entry.partition(b" ")
        name = os.fsdecode(rest.partition(b"\t")[2])
        if mode.startswith(b"100") and name.endswith(".py"):
            size = regular_size(str(checkout / name))
            if size is not None:
                files[name] = size
    return sorted(files.items(), key=lambda pair: pair[0].split("/"))
