"""Lets programs of the sandbox import codex_jax.curation.written, which is sent along as source."""

from pathlib import Path

from codex_jax.curation import written

HOST = """\
import sys, types
written = sys.modules[{name!r}] = types.ModuleType({name!r})
exec(compile({source!r}, "written.py", "exec"), vars(written))
"""


def with_written(source: str) -> str:
    """Source for a Check's host that may use the module `written`."""
    return HOST.format(name=written.__name__, source=Path(written.__file__).read_text()) + source
