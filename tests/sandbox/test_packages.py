import sys

import pytest

from codex_jax.errors import InputError
from codex_jax.sandbox.check import Check, Policy
from codex_jax.sandbox.layers import LAYERS
from codex_jax.sandbox.packages import find_packages
from codex_jax.sandbox.pool import SandboxWorker


def install(folder, name, files, *requires, listed=()):
    """Writes a distribution into the folder. files: {path: source}; listed: paths in its list of files alone."""
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n" + "".join(f"Requires-Dist: {r}\n" for r in requires)
    info = f"{name.replace('-', '_')}-1.dist-info"
    everything = {**files, f"{info}/METADATA": metadata, f"{info}/direct_url.json": "{}"}
    for path, text in everything.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    (folder / info / "RECORD").write_text("".join(f"{path},,\n" for path in (*everything, *listed)))


@pytest.fixture
def site(tmp_path, monkeypatch):
    """A folder of distributions that are installed in this process."""
    tmp_path.chmod(0o755)
    monkeypatch.syspath_prepend(str(tmp_path))
    find_packages.cache_clear()
    main = "import small\nfrom shared_names.part import VALUE\nfrom alpha import inner\n"
    install(tmp_path, "alpha-tools", {"alpha/__init__.py": main, "alpha/inner.py": "ONE = 1\n"}, "Small>=1", "part; x")
    install(tmp_path, "small", {"small.py": "TWO = 2\n"}, "absent; extra == 'all'", "absent2; python_version < '3'")
    install(tmp_path, "part", {"shared_names/part/__init__.py": "VALUE = 3\n"})
    install(tmp_path, "other-part", {"shared_names/other/__init__.py": "VALUE = 4\n", "tests/__init__.py": ""})
    install(tmp_path, "needy", {"needy/__init__.py": ""}, "absent")
    install(tmp_path, "edited", {"__editable___edited_finder.py": "", "edited.pth": ""}, listed=("edited/__init__.py",))
    install(tmp_path, "broken", {"broken/__init__.py": "import hidden_from_programs\n"})
    yield tmp_path
    find_packages.cache_clear()


def test_a_package_and_what_it_needs(site):
    found = find_packages(("alpha",))
    assert {name: path.removeprefix(str(site) + "/") for name, path in found.items()} == {
        "alpha": "alpha",
        "alpha_tools-1.dist-info/METADATA": "alpha_tools-1.dist-info/METADATA",
        "small.py": "small.py",
        "small-1.dist-info/METADATA": "small-1.dist-info/METADATA",
        "shared_names/part": "shared_names/part",
        "part-1.dist-info/METADATA": "part-1.dist-info/METADATA",
    }
    assert find_packages(()) == {}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing_of_this_name", "no package named nothing_of_this_name is installed"),
        ("alpha-tools", "'alpha-tools' is not the name of a package: give names as in import"),
        ("alpha.inner", "is not the name of a package"),
        ("../alpha", "is not the name of a package"),
        ("alpha==1", "is not the name of a package"),
        ("", "is not the name of a package"),
        ("json", "json is a part of the standard library"),
        ("needy", "needy needs absent, which is not installed"),
        ("edited", "edited is not installed as files|no package named edited is installed"),
    ],
)
def test_what_cannot_be_named(site, name, reason):
    with pytest.raises(InputError, match=f"^--packages: .*({reason})"):
        find_packages((name,))


def run(layer, names, body):
    policy = Policy(packages=names)
    worker = SandboxWorker(layer, policy)
    test = "def check(candidate):\n    found = candidate()\n    assert found is True, found\n"
    try:
        program = "def f():\n" + "".join(f"    {line}\n" for line in body.splitlines())
        return worker.run(Check(program, "f", test, cpu_seconds=20.0, policy=policy)).status
    finally:
        worker.close()


@pytest.fixture(params=[layer.name for layer in LAYERS])
def layer(request):
    try:
        SandboxWorker(request.param).close()
    except InputError as error:
        pytest.skip(str(error))
    return request.param


def test_modules_parts_of_shared_folders_and_needed_packages_are_imported(site, layer):
    body = """import alpha, alpha.inner, small, shared_names.part
try:
    import shared_names.other
except ImportError:
    return (alpha.inner.ONE, small.TWO, shared_names.part.VALUE) == (1, 2, 3)"""
    assert run(layer, ("alpha",), body) == "passed"
    assert run(layer, (), body).startswith("failed: ModuleNotFoundError")


def test_without_numpy_in_the_policy_it_is_on_neither_side(site, layer):
    body = "import sys\nreturn not any(name.startswith('numpy') for name in sys.modules)"
    assert run(layer, ("alpha",), body) == "passed"
    test = "import sys\ndef check(candidate):\n    candidate()\n    assert 'numpy' not in sys.modules\n"
    worker = SandboxWorker(layer)
    assert worker.run(Check("def f():\n    return 1\n", "f", test, cpu_seconds=20.0)).status == "passed"
    worker.close()


def test_a_package_that_cannot_be_imported_is_named_before_any_program_runs(site, layer):
    with pytest.raises(InputError, match="broken cannot be imported: ModuleNotFoundError"):
        SandboxWorker(layer, Policy(packages=("broken",)))


def test_a_distribution_without_a_list_of_files(site):
    (site / "alpha_tools-1.dist-info" / "RECORD").unlink()
    (site / "alpha_tools-1.dist-info" / "top_level.txt").write_text("alpha\n")
    assert find_packages(("alpha",))["alpha"] == str(site / "alpha")
    assert "alpha" not in sys.modules
