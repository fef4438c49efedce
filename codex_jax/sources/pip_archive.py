"""python pip_archive.py FOLDER SCRATCH ARGUMENTS...: runs pip, which may start no program, and keeps source archives.

pip download runs a package's own build code to read its metadata, after it has the archive. Here it cannot: the start
of any program fails. By then the archive lies below SCRATCH, from which it is copied to FOLDER.
"""

import os
import runpy
import shutil
import sys
from typing import Any

STARTS = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "os.system",
    "pty.spawn",
)
ENDS = (".tar.gz", ".tgz", ".zip", ".tar.bz2", ".tar.xz")


def main(folder: str, scratch: str, *arguments: str) -> None:
    """Runs pip with these arguments."""

    def refuse(event: str, _: Any) -> None:
        if event in STARTS:
            for place, _folders, names in os.walk(scratch):
                if os.path.basename(place).startswith("pip-unpack-"):
                    for name in names:
                        if name.endswith(ENDS):
                            shutil.copy(os.path.join(place, name), folder)
            raise OSError("no program may start")

    os.environ["TMPDIR"] = scratch
    sys.addaudithook(refuse)
    sys.argv = ["pip", *arguments]
    runpy.run_module("pip", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
