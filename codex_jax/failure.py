"""What a command does with an exception: one line, an exit code, and a traceback file for unexpected errors."""

import errno
import os
import platform
import sys
import tempfile
import traceback
from types import TracebackType

from codex_jax.errors import InputError

BAD_INPUT, UNEXPECTED, INTERRUPTED = 2, 70, 130  # exit codes
DEVICE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def report(error: BaseException) -> int:
    """Prints one line about the error on stderr and returns the exit code. Never raises an error itself."""
    from codex_jax import terminal  # later, because it imports rich

    if isinstance(error, KeyboardInterrupt):
        line, code = "interrupted", INTERRUPTED
    elif isinstance(error, InputError):
        line, code = f"error: {error}", BAD_INPUT
    elif isinstance(error, OSError) and error.strerror:
        place = error.filename if isinstance(error.filename, (str, bytes, os.PathLike)) else ""
        default = "cannot write" if error.errno in DEVICE_ERRORS else type(error).__name__
        line, code = f"error: {os.fsdecode(place) or default}: {error.strerror}", BAD_INPUT
    else:
        line, code = f"internal error: {_summary(error)}: {_write_traceback(error)}", UNEXPECTED
    terminal.note(line)
    return code


def _summary(error: BaseException) -> str:
    try:
        first = str(error).strip().partition("\n")[0][:300]
    except Exception:
        first = ""
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


def _write_traceback(error: BaseException) -> str:
    """Writes the traceback to a new file, and says where it is."""
    try:
        lines = traceback.format_exception(error)
        python = f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"
        text = f"{sys.argv}\n{python}\n\n{''.join(lines)}"
        for folder in (None, "."):  # the folder for temporary files, or this one
            try:
                handle, path = tempfile.mkstemp(".txt", "codex_jax-error-", folder)
            except OSError:
                continue
            with open(handle, "wb") as file:
                file.write(text.encode("utf-8", "backslashreplace"))
            return f"please report it with the file {path}"
    except Exception as failure:
        return f"no file could be written about it ({type(failure).__name__})"
    return "no file could be written about it"


def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A sys.excepthook for what is raised before a command begins, such as while its modules are imported."""
    if isinstance(error, ValueError) and "jax" in str(error).lower():  # JAX reads its variables when it is imported
        error = InputError(f"{error}: unset that environment variable")
    os._exit(report(error.with_traceback(trace)))


def ignore(error: object) -> None:
    """A hook that prints nothing, for errors in a library's callbacks and threads after their work was given up.

    The package's own threads hand their errors to the main thread.
    """
