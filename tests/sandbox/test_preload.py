"""What programs can import, and do to what they import, in each layer, as root and as nobody."""

import json

import pytest

from codex_jax.sandbox.layers import LAYERS, UNSAFE
from codex_jax.sandbox.pool import SandboxWorker
from codex_jax.sandbox.preload import ONE_THREAD, PackageFinder
from tests.sandbox import package_programs
from tests.sandbox.package_programs import NUMPY, PROGRAMS
from tests.sandbox.test_attacks import PROBE, python_of, start, users


@pytest.mark.parametrize("user", users())
@pytest.mark.parametrize("layer", [layer.name for layer in LAYERS])
def test_named_packages_work_and_others_stay_hidden(layer, user):
    python = python_of(user)
    if python is None or start(python, user, "-c", "import numpy").returncode:
        pytest.skip("no Python here that this user may run with numpy")
    tried = start(python, user, "-c", PROBE, layer)
    if tried.returncode:
        pytest.skip(tried.stderr.strip().splitlines()[-1])
    done = start(python, user, "-m", package_programs.__name__, layer)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == dict.fromkeys(PROGRAMS, "passed")


def test_without_isolation_packages_work_too():
    worker = SandboxWorker(UNSAFE.name, NUMPY)
    for name in ("arithmetic", "all of numpy's parts", "no other package", "no path of this machine"):
        assert worker.run(package_programs.check(name)).status == "passed", name
    worker.close()


def test_two_programs_draw_different_numbers():
    worker = SandboxWorker(policy=NUMPY)
    body = "import numpy as np\nreturn np.random.rand()"
    first, second = (worker.run(package_programs.check(body=body)).status for _ in range(2))
    worker.close()
    assert first.startswith("failed: AssertionError: 0.")
    assert first != second


def test_libraries_start_no_threads():
    body = "import os\nreturn all(os.environ[name] == '1' for name in %r)" % [*ONE_THREAD]
    worker = SandboxWorker(policy=NUMPY)
    assert worker.run(package_programs.check(body=body)).status == "passed"
    worker.close()


def test_a_finder_finds_top_level_modules_of_its_own_alone(tmp_path):
    for name in ("mine", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("")
    finder = PackageFinder({"mine": str(tmp_path / "mine"), "mine-1.dist-info/METADATA": str(tmp_path / "x" / "y")})
    assert finder.find_spec("mine", None).origin == str(tmp_path / "mine" / "__init__.py")
    assert finder.find_spec("other", None) is None
    assert finder.find_spec("mine", [str(tmp_path)]) is None
