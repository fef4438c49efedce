"""Pairs to fine-tune on."""

import json

import pytest

from codex_jax import cli, corpus
from codex_jax.curation.made_problem import NotMade
from codex_jax.curation.pairs import Pair, docstring_fault, function_pairs, problem_pairs
from codex_jax.problems.__main__ import SUBCOMMANDS, Args, main
from codex_jax.storage.jsonl import read_objects, write_objects
from codex_jax.text.document import Document

SOURCE = '''\
def add(a, b):
    """The sum of two numbers."""
    return a + b


def bare(a):
    return a


class Thing:
    @property
    def name(self):
        """The name
        of the thing.
        """
        return self._name

    def later(self):
        """To be written by a subclass of this."""
        raise NotImplementedError


def todo():
    """TODO: the rest of it."""
    return 1


def spanish(a):
    """Devuelve una lista nueva sin duplicados."""
    return a
'''
TEST = "def check(candidate):\n    assert candidate(1) == 2\n"


def rows():
    row = {"task_id": "t/0", "prompt": 'def f(x):\n    """Returns x and one."""\n', "entry_point": "f", "test": TEST}
    row |= {"canonical_solution": "    return x + 1\n", "repo": "r", "licence": "MIT", "split": "train"}
    bare = {**row, "task_id": "t/2", "prompt": "def f(x):\n"}
    return [row, {**row, "task_id": "t/1", "split": "test"}, bare, {**row, "task_id": "t/3", "canonical_solution": " "}]


def command(*words):
    return cli.run(main, Args, ["pairs", *map(str, words)], SUBCOMMANDS)


def test_functions_of_source_files():
    for kind, prompts, completions in (
        ("code", ('def add(a, b):\n    """The sum of two numbers."""\n', None), ("    return a + b\n", None)),
        (
            "docstring",
            ('def add(a, b):\n    return a + b\n\n"""\n', '@property\ndef name(self):\n    return self._name\n\n"""\n'),
            ('The sum of two numbers.\n"""', 'The name\nof the thing.\n"""'),
        ),
    ):
        outcomes = list(function_pairs(Document("d", "repo", "p", SOURCE, license="MIT"), kind))
        pairs = [one for one in outcomes if isinstance(one, Pair)]
        assert [one.name for one in pairs] == ["d:1", "d:12"]
        for pair, prompt, completion in zip(pairs, prompts, completions, strict=True):
            assert prompt in (None, pair.prompt)
            assert completion in (None, pair.completion)
        reasons = [one.reason for one in outcomes if isinstance(one, NotMade)]
        assert sorted(reasons) == ["no_body", "no_docstring", "not_english", "todo"]
    (outcome,) = function_pairs(Document("d", "repo", "p", "def f(:"), "code")
    assert outcome.reason == "file_does_not_parse"


def test_docstrings_to_learn_from():
    assert docstring_fault("Returns the sum.") == ""
    assert docstring_fault("Sum.") == "docstring_too_short"
    assert docstring_fault("The word. " * 200) == "docstring_too_long"
    assert docstring_fault('The sign """ of it') == "docstring_has_quotes"
    assert docstring_fault("Возвращает сумму двух чисел the") == "not_english"


def test_problems(tmp_path):
    write_objects(tmp_path / "p.jsonl", rows())
    code, *dropped = problem_pairs(tmp_path / "p.jsonl", "code", ("train",))
    assert code == Pair("t/0", rows()[0]["prompt"], "    return x + 1\n", "r", "MIT")
    assert [getattr(one, "reason", "") for one in dropped] == ["split_test", "", "no_solution"]
    docstring, *dropped = problem_pairs(tmp_path / "p.jsonl", "docstring", ("train",))
    assert (docstring.prompt, docstring.completion) == (
        'def f(x):\n    return x + 1\n\n"""\n',
        'Returns x and one.\n"""',
    )
    assert [one.reason for one in dropped] == ["split_test", "no_docstring", "no_solution"]


def test_the_command_and_a_corpus_of_its_pairs(tmp_path, capsys):
    (tmp_path / "src" / "one").mkdir(parents=True)
    (tmp_path / "src" / "one" / "m.py").write_text(SOURCE)
    write_objects(tmp_path / "p.jsonl", rows())
    out = tmp_path / "pairs.jsonl"
    words = ("docstring", f"dir:{tmp_path}/src", tmp_path / "p.jsonl", "--out", out)
    assert command(*words, "--heldout", tmp_path / "heldout.jsonl") == 0
    assert list(read_objects(tmp_path / "heldout.jsonl")) == [rows()[1]]
    assert "3 pairs of 2 repositories" in capsys.readouterr().out
    found = list(read_objects(out, ("prompt", "completion")))
    assert [row["repo_name"] for row in found] == ["r", "one", "one"]
    report = json.loads((tmp_path / "pairs.jsonl_report.json").read_text())
    assert report["kept"] == 3
    assert report["dropped"]["split_test"] == 1
    words = [f"jsonl:{out}", "--out", f"{tmp_path}/data", "--tokenizer", "p50k", "--seq-len", "64"]
    assert cli.run(corpus.main, corpus.Args, words) == 0
    (manifest,) = (json.loads(path.read_text()) for path in tmp_path.glob("data/*/manifest.json"))
    assert manifest["documents"] == 3


def test_a_function_of_a_benchmark_is_left_out(tmp_path, capsys):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "m.py").write_text(SOURCE)
    solution = 'def add(a, b):\n    """The sum of two numbers."""\n    return a + b\n'
    row = {**rows()[0], "prompt": solution, "canonical_solution": "", "entry_point": "add"}
    write_objects(tmp_path / "b.jsonl", [row])
    words = ("code", f"dir:{tmp_path}/src", "--out", tmp_path / "pairs.jsonl", "--protect", tmp_path / "b.jsonl")
    assert command(*words) == 0
    report = json.loads((tmp_path / "pairs.jsonl_report.json").read_text())
    assert report["dropped"]["contaminated"] == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["code", "--out", "o"], "name a FILE.jsonl of problems"),
        (["code", "none.jsonl", "--out", "o"], "no file none.jsonl"),
        (["code", "p.jsonl", "--out", "p.jsonl"], "would replace p.jsonl"),
        (["code", "p.jsonl", "--out", "no/o.jsonl"], "no folder no"),
        (["code", "p.jsonl", "--out", "o", "--heldout", "p.jsonl"], "would replace p.jsonl"),
        (["code", "p.jsonl", "--out", "o", "--splits", "train", "test", "--heldout", "h"], "no problem is in another"),
        (["code", "wrong.jsonl", "--out", "o"], "'t/0' does not define its entry_point 'g'"),
        (["docstring", "wrong.jsonl", "--out", "o"], "does not define its entry_point 'g'"),
        (["docstring", "git:x", "--out", "o"], "no file git:x"),
    ],
)
def test_bad_input(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    write_objects(tmp_path / "p.jsonl", rows())
    write_objects(tmp_path / "wrong.jsonl", [{**rows()[0], "entry_point": "g"}])
    assert command(*words) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o").exists()
