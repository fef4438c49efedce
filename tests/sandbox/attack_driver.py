"""python -m tests.sandbox.attack_driver LAYER: runs all attacks in a layer as the current user and prints JSON.

Each attack runs between two right programs in the same worker. The one before it leaves a secret word in its memory and
its scratch folder; the one after it looks for anything that the attack left.
"""

import json
import os
import platform
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.libc import PR_SET_CHILD_SUBREAPER, prctl
from codex_jax.sandbox.pool import SandboxWorker
from tests.sandbox.attacks import CATEGORIES, CONTROLS, PROBE, TOKEN, completion

TIMEOUT, SHORT = 0.5, 0.25  # CPU seconds; the second is for programs that never end
WORKERS = 4
TEST = (
    "def check(candidate):\n    assert candidate(1, 2) == 3\n    assert candidate([1], [2]) == [1, 2]\n"
    "    assert candidate('x', 'y') == 'xy'\n"
    "    for x in map(candidate, (1, 2), (3, 4)):\n        assert type(x) is int\n"
    "    assert list(map(candidate, (1, 2), (3, 4))) == [4, 6]\n"
)
BEFORE = f"    x = {TOKEN!r} * 3\n    open('left', 'w').write(x)\n    return a + b\n"
OUTSIDE = (Path("/tmp"), Path("/var/tmp"), Path("/dev/shm"), Path.home())


def look(folder: Path) -> dict[str, tuple[int, int, float, bytes]]:
    """All that an attack could change in a folder."""
    files = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        files[str(path)] = (
            status.st_mode,
            status.st_nlink,
            status.st_mtime,
            path.read_bytes() if path.is_file() else b"",
        )
    return files


def descriptors() -> int:
    """The number of open descriptors of this process."""
    return len(os.listdir("/proc/self/fd"))


def children() -> list[str]:
    """The children of this process, including orphans, as it is their subreaper."""
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        return file.read().split()


def attack_all(layer: str, secret: str, mark: str) -> dict[str, list[str]]:
    """The statuses of the program before, the attack and the program after, by the attack's name."""
    todo = [(category, name, code) for category, codes in CATEGORIES.items() for name, code in codes.items()]
    todo = [one for one in todo if platform.machine() == "x86_64" or one[0] != "native_x86"]
    todo += [("control", name, code) for name, code in CONTROLS.items()]
    results: dict[str, list[str]] = {}

    def run_part(part: list) -> None:
        worker = SandboxWorker(layer)
        for category, name, code in part:
            attack, probe = (completion(text, secret, mark, platform.machine()) for text in (code, PROBE))
            statuses = results[f"{category}/{name}"] = []
            limit = SHORT if category == "time" else TIMEOUT
            for text, seconds in ((BEFORE, TIMEOUT), (attack, limit), (probe, TIMEOUT)):
                result = worker.run(Check("def add(a, b):\n" + text, "add", TEST, cpu_seconds=seconds))
                statuses.append(result.status if result else "the worker died")
                if result is None:
                    worker.close()
                    worker = SandboxWorker(layer)
        worker.close()

    threads = [threading.Thread(target=run_part, args=(todo[n::WORKERS],)) for n in range(WORKERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main(layer: str) -> None:
    """Prints {"results", "changed", "marks", "children", "descriptors"}."""
    prctl(PR_SET_CHILD_SUBREAPER, 1)
    folder = Path(tempfile.mkdtemp(prefix="attacked-"))
    mark = f"mark-{os.getpid()}-"
    try:
        (folder / "inner").mkdir()
        secret = folder / "inner" / "secret"
        secret.write_text("secret")
        for path, mode in ((folder, 0o777), (folder / "inner", 0o777), (secret, 0o666)):
            path.chmod(mode)
        before, opened = look(folder), descriptors()
        results = attack_all(layer, str(secret), mark)
        left, deadline = children(), time.monotonic() + 5
        while left and time.monotonic() < deadline:
            time.sleep(0.1)
            left = children()
        marks = [str(path) for place in OUTSIDE if os.access(place, os.R_OK) for path in place.glob(f"*{mark}*")]
        changed = look(folder) != before
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    outcome = {"results": results, "changed": changed, "marks": marks, "children": left}
    print(json.dumps({**outcome, "descriptors": descriptors() - opened}))


if __name__ == "__main__":
    main(sys.argv[1])
