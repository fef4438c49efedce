"""The commands in the READMEs of data/, run without TensorFlow."""

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
import tensorflow_datasets as tfds

from codex_jax.problems.apps import read_apps
from codex_jax.problems.compare import long_integers
from codex_jax.problems.humaneval import row_of
from codex_jax.problems.load import load_problems
from tests.problems.test_apps import CALL, STDIN, write

DATA = Path(__file__).parents[2] / "data"


def command(script, *args):
    """Runs a script of data/ -> (exit code, stdout and stderr together)."""
    # In a separate process, because TFDS registers each builder only once per process.
    done = subprocess.run(
        [sys.executable, str(DATA / script), *map(str, args)], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


def rows(folder, name, split):
    """The examples, with bytes decoded to text."""

    def plain(value):
        return value.decode() if isinstance(value, bytes) else value

    return [
        {
            key: [plain(item) for item in value] if isinstance(value, list) else plain(value)
            for key, value in row.items()
        }
        for row in tfds.data_source(name, data_dir=folder, split=split)
    ]


def test_humaneval(tmp_path):
    assert command("build.py", "humaneval", "--out", tmp_path) == (0, f"{tmp_path}/humaneval/1.0.0: test 164\n")
    expected = [row_of(problem) for problem in load_problems("humaneval").problems.values()]
    assert rows(tmp_path, "humaneval", "test") == expected
    info = json.loads((tmp_path / "humaneval" / "1.0.0" / "dataset_info.json").read_text())
    assert info["description"].startswith("# humaneval")
    code, output = command("build.py", "humaneval", "--out", tmp_path)
    assert code == 2
    assert "exists already" in output


@pytest.mark.slow
def test_building_blocks_equal_the_output_of_generate(tmp_path):
    assert command("building_blocks/generate.py", "--out", tmp_path / "generated")[0] == 0
    assert command("build.py", "building_blocks", "--out", tmp_path)[0] == 0
    for split, name in (("train", "train"), ("test", "heldout")):
        path = tmp_path / "generated" / f"{name}.jsonl"
        expected = [json.loads(line) for line in path.read_text().splitlines()]
        assert rows(tmp_path, "building_blocks", split) == expected


@pytest.fixture
def release(tmp_path):
    """A folder that contains APPS."""
    for split in ("train", "test"):
        write(tmp_path / "release" / "APPS" / split / "0000", solutions=["print(3)"], input_output=STDIN)
        write(tmp_path / "release" / "APPS" / split / "0001", starter="def add(a, b):\n", input_output=CALL)
        long_integer = '{"fn_name": "f", "inputs": [[1]], "outputs": [%s]}' % ("7" * 5000)
        write(tmp_path / "release" / "APPS" / split / "0002", input_output=long_integer)
    return tmp_path / "release"


def test_apps(release, tmp_path):
    output = f"{tmp_path}/apps/1.0.0: test 3, train 3\n"
    assert command("build.py", "apps", "--manual-dir", release, "--out", tmp_path) == (0, output)
    for split in ("train", "test"):
        examples = rows(tmp_path, "apps", split)
        for row, problem in zip(examples, read_apps(release / "APPS" / split), strict=True):
            with long_integers():
                tests = {name: tuple(map(json.loads, row[name])) for name in ("inputs", "outputs")}
            assert {**row, **tests, "solutions": tuple(row["solutions"])} == asdict(problem)


def test_bad_input_is_refused_and_leaves_no_files(release, tmp_path):
    out = tmp_path / "out"
    path = release / "APPS" / "test" / "0001" / "input_output.json"
    path.write_text("{")
    (tmp_path / "file").write_text("")
    for args, message in (
        (["apps", "--manual-dir", release], f"{path} is not JSON"),
        (["apps", "--manual-dir", tmp_path], "give the release's APPS/train or APPS/test"),
        (["apps", "--manual-dir", tmp_path / "none"], "--manual-dir is needed"),
        (["apps"], "--manual-dir is needed"),
        (["nope"], "give one of apps, building_blocks, humaneval"),
    ):
        code, output = command("build.py", *args, "--out", out)
        assert code == 2
        assert message in output.splitlines()[-1]
        assert not out.exists() or not list(out.iterdir())
    code, output = command("build.py", "humaneval", "--out", tmp_path / "file")
    assert code == 2
    assert "cannot write" in output.splitlines()[-1]
