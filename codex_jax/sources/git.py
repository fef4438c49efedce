"""git:PATH: the files that a checkout tracks."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from codex_jax.errors import InputError
from codex_jax.sources.folders import regular_size, split
from codex_jax.sources.source import Part, register
from codex_jax.storage.paths import only_local

# A checkout is data: nothing that its configuration names may run, and nothing may be fetched.
HARMLESS = ("core.fsmonitor=false", "core.hooksPath=/dev/null", "safe.directory=*")
ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


@register("git")
def git(argument: str) -> Iterator[Part]:
    """git:PATH: the tracked Python files of a checkout, or of each in a folder of them; repo is its folder's name."""
    only_local("git", argument)
    root = Path(os.path.realpath(argument))
    if argument and (root / ".git").exists():
        checkouts = [root]
    elif argument and root.is_dir():
        checkouts = sorted(child for child in root.iterdir() if not child.is_symlink() and (child / ".git").exists())
    else:
        checkouts = []
    if not checkouts:
        raise InputError(f"{argument!r} is no git checkout: give git:PATH of one, or of a folder of them")
    for checkout in checkouts:
        yield from split("git", str(checkout), tracked(checkout), repo=checkout.name)


def tracked(checkout: Path) -> list[tuple[str, int]]:
    """(relative path, bytes) of the tracked .py files; links and submodules are left out."""
    # An outer GIT_DIR, as hooks set it, would name another repository.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    environment |= ENVIRONMENT | {"GIT_CEILING_DIRECTORIES": str(checkout.parent)}
    options = [word for setting in HARMLESS for word in ("-c", setting)]
    command = ["git", "-C", str(checkout), *options, "ls-files", "-z", "--cached", "--stage"]
    try:
        listed = subprocess.run(command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise InputError("git is not installed: install it, or give dir:PATH instead") from None
    if listed.returncode:
        reason = listed.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
        raise InputError(f"git cannot list {checkout}: {''.join(reason) or 'it gives no reason'}")
    found: dict[str, int] = {}  # a file in conflict is listed once a side
    for entry in listed.stdout.split(b"\0"):
        mode, _, rest = entry.partition(b" ")
        name = os.fsdecode(rest.partition(b"\t")[2])
        if mode.startswith(b"100") and name.endswith(".py"):
            size = regular_size(str(checkout / name))
            if size is not None:
                found[name] = size
    return sorted(found.items(), key=lambda pair: pair[0].split("/"))
