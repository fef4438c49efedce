"""How every command starts and ends: tyro in, exit codes 0, 1 or 2 out."""

import contextlib
import io
import os
import re
import sys
from collections.abc import Callable
from typing import TypeVar

import tyro

from codex_jax.errors import InputError

Args = TypeVar("Args")


def parse(args_type: type[Args], argv: list[str] | None = None, default: Args | None = None) -> Args:
    """Parses argv (default: sys.argv[1:]) into the dataclass args_type; InputError names a bad flag."""
    stderr = io.StringIO()
    main = sys.modules["__main__"].__spec__
    prog = f"python -m {main.name}" if main else f"python {os.path.relpath(sys.argv[0])}"
    try:
        with contextlib.redirect_stderr(stderr):
            if default is None:
                return tyro.cli(args_type, prog=prog, args=argv)
            return tyro.cli(args_type, prog=prog, args=argv, default=default)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(f"{_one_line(stderr.getvalue())} (see --help)") from None


def _one_line(box: str) -> str:
    # tyro draws a box with ruled sections below a title; those that repeat the help are left out.
    # Where the terminal has no box characters, it is drawn in ASCII.
    inner = [line.strip("│| ") for line in box.splitlines() if not line.startswith(("╭", "╰", "+"))]
    sections = [" ".join(part.split()) for part in re.split(r"[─-]{4,}", "\n".join(inner))]
    kept = [part for part in sections if part and not part.startswith(("Argument helptext", "For full helptext"))]
    return "; ".join(kept)[:300] or "cannot read the arguments"


def guarded(body: Callable[[], int | None]) -> int:
    """Runs body() and returns its exit code; InputError becomes one line on stderr and 2."""
    try:
        return body() or 0
    except InputError as error:
        print(f"error: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def run(main: Callable[[Args], int | None], args_type: type[Args], argv: list[str] | None = None) -> int:
    """Parses argv into args_type, runs main(args) guarded, and returns the exit code."""
    return guarded(lambda: main(parse(args_type, argv)))
