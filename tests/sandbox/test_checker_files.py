import os

import pytest

from codex_jax.sandbox.check import Check
from codex_jax.sandbox.landlock import NETWORK, landlock_version
from codex_jax.sandbox.pool import run_checks

PROGRAM = "def f():\n    return 3\n"


def status(setup):
    """The status of a check whose setup, which comes from a problem file, is this source."""
    ((_, result),) = run_checks([Check(PROGRAM, "f", "def check(f):\n    assert f() == 3\n", setup=setup)], workers=1)
    return result.status


@pytest.mark.skipif(not landlock_version(), reason="the kernel has no Landlock")
def test_a_problem_s_source_reaches_no_files_of_yours():
    for source in ("open('/etc/passwd')", "import os\nos.listdir('/')", "open('/etc/codex-jax-test', 'w')"):
        assert status(source).startswith("failed: PermissionError"), source
    assert not os.path.exists("/etc/codex-jax-test")
    assert status("import tempfile\nwith tempfile.TemporaryFile() as file:\n    file.write(b'x')") == "passed"


@pytest.mark.skipif(landlock_version() < NETWORK[0], reason="the kernel's Landlock denies no TCP")
def test_a_problem_s_source_reaches_no_server():
    source = "import socket\nsocket.create_connection(('127.0.0.1', 9))"
    assert status(source).startswith("failed: PermissionError")


def test_a_problem_s_source_may_import_packages():
    modules = "numpy, zoneinfo, sqlite3, multiprocessing.pool, codex_jax.problems.evalplus_answers"
    assert status(f"import {modules}\nzoneinfo.ZoneInfo('UTC')\nnumpy.linalg.inv(numpy.eye(2))") == "passed"
