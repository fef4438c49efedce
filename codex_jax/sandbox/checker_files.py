"""The checker's own restriction: the source that a problem file brings cannot read or change your files."""

import contextlib
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

from codex_jax.sandbox.landlock import enforce_ruleset, landlock_version, make_ruleset
from codex_jax.sandbox.libc import PR_SET_NO_NEW_PRIVS, prctl

SHARED = ("/usr", "/lib", "/lib64")  # shared libraries, and data such as time zones
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")


def restrict_files(packages: Iterable[str] = ()) -> None:
    """Denies this process all files but Python's library, packages and temporary files, and TCP, where Landlock can.

    Tests, prompts, solutions and setup code run here. They come from a benchmark, which may be anyone's file. packages:
    folders of more packages.
    """
    if not landlock_version():
        return
    library = (sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib"), sys.prefix, sys.base_prefix)
    own = Path(__file__).parents[1]
    paths = [path for path in sys.path if os.path.abspath(path) != str(own.parent)]  # which may be a whole checkout
    folders = {path for path in (*SHARED, *library, *paths, *packages, str(own)) if os.path.exists(path)} - {"/"}
    with contextlib.suppress(OSError):  # the kernel has it, but it is turned off
        ruleset = make_ruleset(TEMPORARY[0], folders, others=TEMPORARY[1:])
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        enforce_ruleset(ruleset)
