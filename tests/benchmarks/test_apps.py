import json
import sys

import pytest

from codex_jax.benchmarks.apps import long_integers, read_apps
from codex_jax.errors import InputError

CALL = {"fn_name": "add", "inputs": [[1, 2], [[1], {"a": 2}]], "outputs": [[3], [1]]}
STDIN = {"inputs": ["1\n2\n", ["3", "4"]], "outputs": ["3\n", ["7"]]}


def write(folder, difficulty="interview", url="u", starter=None, **files):
    """A problem as the release lays it out; a file without content is not written."""
    folder.mkdir(parents=True)
    (folder / "question.txt").write_text(f"Question {folder.name}: \u2264\n")
    (folder / "metadata.json").write_text(json.dumps({"difficulty": difficulty, "url": url}))
    if starter is not None:
        (folder / "starter_code.py").write_text(starter)
    for name, content in files.items():
        (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.fixture
def release(tmp_path):
    test = tmp_path / "APPS" / "test"
    write(test / "0000", "interview", solutions=["print(3)", "x"], input_output=STDIN)
    write(test / "0001", "introductory", starter="def add(a, b):\n", solutions=["def add(): 0"], input_output=CALL)
    write(test / "0002", "competition")
    write(test / "0003", "introductory", input_output="", solutions="")
    (test / "README").write_text("not a problem")
    return test


def test_the_release_is_read(release):
    stdin, call, bare, empty = read_apps(release)
    assert [p.problem_id for p in (stdin, call, bare, empty)] == ["0000", "0001", "0002", "0003"]
    assert (stdin.question, stdin.difficulty, stdin.url) == ("Question 0000: \u2264\n", "interview", "u")
    assert (stdin.inputs, stdin.outputs, stdin.fn_name) == (("1\n2\n", "3\n4"), ("3\n", "7"), "")
    assert stdin.solutions == ("print(3)", "x")
    assert stdin.starter_code == ""
    assert (call.fn_name, call.starter_code) == ("add", "def add(a, b):\n")
    assert call.inputs == ([1, 2], [[1], {"a": 2}])
    assert call.outputs == ([3], [1])
    assert {(p.solutions, p.inputs, p.outputs) for p in (bare, empty)} == {((), (), ())}


def test_a_difficulty_is_chosen(release):
    assert [problem.problem_id for problem in read_apps(release, ("introductory",))] == ["0001", "0003"]


def test_long_integers_are_read_and_python_s_limit_stays(tmp_path):
    limit = sys.get_int_max_str_digits()
    text = '{"fn_name": "f", "inputs": [[1]], "outputs": [%s]}' % ("7" * 5000)
    write(tmp_path / "0000", input_output=text)
    (problem,) = read_apps(tmp_path)
    with long_integers():
        assert str(problem.outputs[0]) == "7" * 5000
    assert sys.get_int_max_str_digits() == limit


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("input_output.json", "{", "not JSON"),
        ("input_output.json", "[" * 100_000, "not JSON"),
        ("input_output.json", "[1]", "no JSON object"),
        ("input_output.json", '{"inputs": ["1"], "outputs": []}', "1 inputs and 0 outputs"),
        ("input_output.json", '{"inputs": "1", "outputs": "2"}', "not a list"),
        ("input_output.json", '{"inputs": [1], "outputs": ["1"]}', "no fn_name"),
        ("input_output.json", '{"fn_name": "f", "inputs": ["1"], "outputs": [1]}', "list of arguments"),
        ("input_output.json", '{"fn_name": 3, "inputs": [], "outputs": []}', "fn_name is not text"),
        ("solutions.json", "{}", "no JSON list"),
        ("solutions.json", "[3]", "not text"),
        ("metadata.json", '{"difficulty": "hard"}', "difficulty is not in"),
        ("metadata.json", "", "no file"),
        ("question.txt", b"\xff", "cannot read"),
    ],
)
def test_a_broken_file_is_named(release, name, content, message):
    (release / "0001" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        list(read_apps(release))
    assert str(release / "0001" / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_folder_is_refused(release):
    for folder in (release.parent, release / "none", release / "0000" / "question.txt"):
        with pytest.raises(InputError, match="give the release's APPS/train or APPS/test"):
            read_apps(folder)
