import os
import subprocess
import sys

import pytest

from codex_jax.sandbox.landlock import landlock_version

TRY = """
import os, socket, sys, sysconfig
from pathlib import Path
from codex_jax.sandbox.landlock import enforce_ruleset, landlock_version, make_ruleset
from codex_jax.sandbox.libc import PR_SET_NO_NEW_PRIVS, prctl
scratch, secret = sys.argv[1:]
tcp, unix = socket.create_server(("127.0.0.1", 0)), socket.socket(socket.AF_UNIX)
listening, abstract = tcp.getsockname()[1], f"\\0codex-jax-test-{os.getpid()}"
unix.bind(abstract), unix.listen()
prctl(PR_SET_NO_NEW_PRIVS, 1)
enforce_ruleset(make_ruleset(scratch, [Path(sysconfig.get_path("stdlib"))]))
os.chdir(scratch)
with open("here", "w") as file:
    file.write("x")
os.mkdir("folder"), os.rename("here", "folder/there"), os.truncate("folder/there", 0)
assert os.listdir("folder") == ["there"]
import wave  # read from the library only now
outer = [
    (4, lambda: socket.socket().bind(("127.0.0.1", 0))),
    (4, lambda: socket.socket().connect(("127.0.0.1", listening))),
    (6, lambda: os.kill(os.getppid(), 0)),
    (6, lambda: socket.socket(socket.AF_UNIX).connect(abstract)),
]
for attempt in (
    *(attempt for version, attempt in outer if landlock_version() >= version),
    lambda: open(secret).read(),
    lambda: open(secret, "w"),
    lambda: open(secret, "a"),
    lambda: os.remove(secret),
    lambda: os.truncate(secret, 0),
    lambda: os.rename(secret, "mine"),
    lambda: os.rename("folder/there", secret),
    lambda: os.listdir(os.path.dirname(secret)),
    lambda: os.mkdir(secret + ".d"),
    lambda: os.symlink("/", secret + ".l"),
    lambda: open("/proc/self/maps").read(),
    lambda: open(wave.__file__, "a"),
):
    try:
        attempt()
    except OSError:
        continue
    sys.exit("allowed")
"""


@pytest.mark.skipif(not landlock_version(), reason="this kernel has no Landlock")
def test_only_the_library_can_be_read_and_only_scratch_written(tmp_path):
    scratch, secret = tmp_path / "scratch", tmp_path / "other" / "secret"
    scratch.mkdir()
    secret.parent.mkdir()
    secret.write_text("secret")
    command = [sys.executable, "-c", TRY, str(scratch), str(secret)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert secret.read_text() == "secret"
    assert os.listdir(secret.parent) == ["secret"]
