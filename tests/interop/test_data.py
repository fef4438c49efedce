"""`tfds build` builds the data sets of data/, tfds.load reads them, and TFDS opens a corpus without conversion."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds

from codex_jax.problems.apps import read_apps
from codex_jax.problems.humaneval import FIELDS, row_of
from codex_jax.problems.load import load_problems
from tests.interop.test_tensorflow import all_records
from tests.problems.test_apps import CALL, STDIN, write

DATA = Path(__file__).parents[2] / "data"


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A folder into which `tfds build` has written all three data sets. The APPS release is in `release`."""
    folder = tmp_path_factory.mktemp("built")
    for split in ("train", "test"):
        write(folder / "release" / "APPS" / split / "0000", solutions=["print(3)"], input_output=STDIN)
        write(folder / "release" / "APPS" / split / "0001", starter="def add(a, b):\n", input_output=CALL)
    command = [Path(sys.executable).with_name("tfds"), "build"]
    command += [DATA / name for name in ("humaneval", "building_blocks", "apps")]
    # Run in another folder: the builders must not depend on the working directory.
    command += ["--data_dir", folder, "--manual_dir", folder / "release"]
    subprocess.run(list(map(str, command)), check=True, cwd=folder)
    return folder


def load(name, folder, split):
    """The examples in order, as read by tf.data."""
    return list(tfds.as_numpy(tfds.load(name, data_dir=folder, split=split)))


def test_humaneval(folder):
    expected = [row_of(problem) for problem in load_problems("humaneval").problems.values()]
    examples = load("humaneval", folder, "test")
    assert examples == [{name: row[name].encode() for name in FIELDS} for row in expected]


def test_building_blocks(folder, tmp_path):
    generate = [sys.executable, str(DATA / "building_blocks" / "generate.py"), "--out", str(tmp_path)]
    subprocess.run(generate, check=True)
    for split, name in (("train", "train"), ("test", "heldout")):
        problems = load_problems(str(tmp_path / f"{name}.jsonl")).problems.values()
        expected = [row_of(problem) for problem in problems]
        examples = load("building_blocks", folder, split)
        assert [{**row, **{name: row[name].decode() for name in FIELDS}} for row in examples] == expected


@pytest.mark.parametrize("split", ["train", "test"])
def test_apps(folder, split):
    stdin, call = load("apps", folder, split)
    assert stdin["inputs"].tolist() == [b'"1\\n2\\n"', b'"3\\n4"']
    assert call["inputs"].tolist() == [b"[1, 2]", b'[[1], {"a": 2}]']
    for row, problem in zip((stdin, call), read_apps(folder / "release" / "APPS" / split), strict=True):
        assert row["question"].decode() == problem.question
        assert [text.decode() for text in row["solutions"]] == list(problem.solutions)


def test_a_corpus_is_opened_without_conversion(built, monkeypatch):
    monkeypatch.syspath_prepend(str(DATA))
    from github_python.open_with_tfds import open_builder, read_tokens

    builder = open_builder(str(built.folder.parent))
    for split in built.manifest["splits"]:
        options = {"read_config": tfds.ReadConfig(interleave_cycle_length=1)}
        examples = list(tfds.as_numpy(read_tokens(builder, split, **options)))
        for name, values in all_records(built, split).items():
            assert np.array_equal([row[name] for row in examples], values)
            assert {row[name].dtype for row in examples} == {values.dtype}
