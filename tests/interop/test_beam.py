import filecmp
import json

import pytest

from codex_jax import cli, corpus
from codex_jax.problems.building_blocks import heldout_problems
from codex_jax.problems.humaneval import write_problems
from codex_jax.problems.load import load_problems
from tests.corpus_build.sources import write_lines, write_repositories


def build(sources, out, *flags):
    args = [*sources, "--out", str(out), "--seq-len", "96", "--shards", "3", *flags]
    return cli.run(corpus.main, corpus.Args, args)


def same_folders(one, other):
    compared = filecmp.dircmp(one, other)
    assert not compared.left_only + compared.right_only
    for name in compared.common_files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for name in compared.common_dirs:
        same_folders(one / name, other / name)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    problem = load_problems("humaneval").problems["HumanEval/0"]
    repositories = write_repositories(folder / "src")
    (repositories / "r1" / "leak.py").write_text("import os\n\n" + problem.prompt + problem.canonical_solution)
    lines = write_lines(folder / "lines.jsonl", 60)
    with lines.open("a") as file:
        file.write("{broken\n")
    return [f"dir:{repositories}", f"jsonl:{lines}"]


@pytest.mark.parametrize("flags", [["--tokenizer", "p50k"], ["--tokenizer", "train:330"]])
def test_beam_builds_the_same_files(sources, tmp_path, flags):
    flags = [*flags, "--weights", "1", "1.5"]
    assert build(sources, tmp_path / "local" / "d", *flags) == 0
    assert build(sources, tmp_path / "beam" / "d", *flags, "--beam", "DirectRunner") == 0
    made = json.loads((tmp_path / "beam" / "d" / "1.0.0" / "manifest.json").read_text())
    assert made["dropped"] == {
        "auto_generated": 1,
        "contaminated": 1,
        "duplicate": 6,
        "malformed_line": 1,
        "near_duplicate": 6,
        "not_decodable": 1,
    }
    same_folders(tmp_path / "local" / "d" / "1.0.0", tmp_path / "beam" / "d" / "1.0.0")


def test_problems_and_a_second_version(tmp_path):
    problems = heldout_problems()
    sources = []
    for number in range(2):
        path = tmp_path / f"problems{number}.jsonl"
        write_problems(path, problems[number * 10 : number * 10 + 15])
        sources.append(f"problems:{path}")
    flags = ["--tokenizer", "p50k", "--seq-len", "150"]
    for place, engine in (("local", []), ("beam", ["--beam", "DirectRunner"])):
        assert build(sources[:1], tmp_path / place / "d", *flags, *engine) == 0
        assert build(sources, tmp_path / place / "d", *flags, "--version", "1.1.0", *engine) == 0
    made = json.loads((tmp_path / "beam" / "d" / "1.1.0" / "manifest.json").read_text())
    assert made["dropped"]["duplicate"] == 5
    same_folders(tmp_path / "local" / "d", tmp_path / "beam" / "d")


def test_bad_input_is_one_line(sources, tmp_path, capsys):
    assert build(sources, tmp_path / "d", "--tokenizer", "train:60000", "--beam", "DirectRunner") == 2
    assert "vocabulary of 60000" in capsys.readouterr().err.strip().splitlines()[-1]
    assert build(["jsonl:none.jsonl"], tmp_path / "d", "--tokenizer", "p50k", "--beam", "DirectRunner") == 2
    assert "none.jsonl" in capsys.readouterr().err.strip().splitlines()[-1]
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"content": " "}\n')
    assert build([f"jsonl:{empty}"], tmp_path / "d", "--tokenizer", "p50k", "--beam", "DirectRunner") == 2
    assert "no usable file" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "d").exists()
