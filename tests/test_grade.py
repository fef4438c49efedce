"""The command grade."""

import json
import re

import pytest

from codex_jax import cli, grade, sample, score
from codex_jax.problems.humaneval import humaneval_problem, write_problems
from codex_jax.storage.jsonl import read_objects, write_objects
from tests.sampling.made_run import make_run

PROMPT = 'def f(x):\n    """Adds one.\n    """\n'
TEST = "def check(candidate):\n    assert candidate(1) == 2\n"
RIGHT, WRONG, COPY = "One is added.", "One is taken.", "    return x + 1\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("grade")
    make_run(root)
    problems = [humaneval_problem(f"t/{n}", PROMPT, "f", "    return x + 1\n", TEST) for n in (0, 1)]
    write_problems(root / "p.jsonl", problems)
    texts = {"t/0": [RIGHT, WRONG, RIGHT], "t/1": [COPY, WRONG, "Long. " * 99]}
    rows = [
        {"task_id": task_id, "sample": n, "completion": text}
        for task_id, each in texts.items()
        for n, text in enumerate(each)
    ]
    write_objects(root / "d.jsonl", rows)
    return root


def run(folder, *words):
    args = [f"{folder}/d.jsonl", "--problems", f"{folder}/p.jsonl", "--workers", "1", "--k", "1,3", *words]
    return cli.run(grade.main, grade.Args, args)


@pytest.fixture
def writes_code(monkeypatch):
    """A code model that understands docstrings: it gets the prompts, and long ones are skipped."""
    prompts = {}

    def draw(args, benchmark, engine, origin):
        prompts.update({name: problem.prompt for name, problem in benchmark.problems.items()})
        rows = []
        for name, prompt in prompts.items():
            if "Long." not in prompt:
                code = "    return x + 1\n" if RIGHT in prompt else "    return x - 1\n"
                rows.append({"task_id": name, "sample": 0, "completion": code})
        write_objects(args.out, rows)

    monkeypatch.setattr(sample, "sample_problems", draw)
    return prompts


def test_a_docstring_is_right_if_its_code_passes(folder, writes_code, capsys):
    out = folder / "graded.jsonl"
    assert run(folder, "--run", f"{folder}/run", "--out", str(out)) == 0
    rows = list(read_objects(out))
    assert [row["passed"] for row in rows] == [True, False, True, False, False, False]
    assert [row["result"] for row in rows] == [
        "passed",
        "failed: no code passes",
        "passed",
        "failed: copies the code",
        "failed: no code passes",
        "failed: too long to write code from",
    ]
    assert rows[0]["code"] == "    return x + 1\n"
    # Equal docstrings share their code, and a copy gets none.
    assert sorted(writes_code.values()) == sorted(
        PROMPT.replace("Adds one.", text.strip()) for text in (RIGHT, WRONG, WRONG, "Long. " * 99)
    )
    printed = capsys.readouterr().out
    assert "2 of 6 docstrings are right" in printed
    assert re.search(r"docstrings\W+33.3%.*50.0%", printed)
    assert not (folder / "graded.jsonl_code.jsonl_results.jsonl.partial").exists()


@pytest.mark.slow
def test_with_a_real_run_it_resumes(folder, capsys):
    out = folder / "real.jsonl"
    words = ("--run", f"{folder}/run", "--out", str(out), "--max-new-tokens", "8", "--n", "2", "--temperature", "0.8")
    assert run(folder, *words) == 0
    rows = out.read_bytes()
    assert [row["passed"] for row in read_objects(out)] == [False] * 6
    code = folder / "real.jsonl_code.jsonl"
    lines = code.read_text().splitlines()
    assert len(lines) == 2 * 3  # not for the copy and the long one
    # As after a kill: some code is drawn and nothing is scored.
    code.write_text("\n".join(lines[:4]) + "\n")
    out.unlink()
    (folder / "real.jsonl_code.jsonl_results.jsonl").unlink()
    assert run(folder, *words) == 0
    assert out.read_bytes() == rows
    assert code.read_text().splitlines() == lines
    capsys.readouterr()
    assert run(folder, *words, "--seed", "1") == 2
    assert "holds samples of another run" in capsys.readouterr().err


def test_by_hand(folder, writes_code, capsys):
    assert run(folder, "--run", f"{folder}/run", "--out", f"{folder}/first.jsonl") == 0
    sheet = folder / "sheet.csv"
    for name in ("sheet.csv", "sheet.html"):
        assert run(folder, "--sheet", f"{folder}/{name}") == 0
    assert "6 docstrings to grade" in capsys.readouterr().out
    header, *_ = sheet.read_text().splitlines()
    assert header.startswith("task_id,sample,grade,")
    (folder / "grades.csv").write_text("task_id,sample,grade\nt/0,0,right\nt/0,1,right\nt/1,0,wrong\nt/1,1,\n")
    args = ["--problems", f"{folder}/p.jsonl", "--grades", f"{folder}/grades.csv", "--out", f"{folder}/hand.jsonl"]
    assert cli.run(grade.main, grade.Args, [f"{folder}/first.jsonl", *args]) == 0
    shown = capsys.readouterr()
    assert "back-generation agrees on 2 of 3 docstrings" in shown.out
    assert "3 of 6 docstrings have no grade" in shown.err
    assert [row["passed"] for row in read_objects(folder / "hand.jsonl")] == [True, True, False]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give one of --run CODE_RUN"),
        (["--run", "x", "--sheet", "s.csv"], "give one of --run CODE_RUN"),
        (["--run", "x"], "give --out"),
        (["--sheet", "s.txt"], "give FILE.csv or FILE.html"),
        (["--sheet", "{folder}/no/s.csv"], "no folder"),
        (["--run", "x", "--out", "{folder}/d.jsonl"], "the results would replace"),
        (["--run", "x", "--out", "{folder}/o.jsonl", "--k", "0"], "give whole numbers from 1"),
        (["--run", "x", "--out", "{folder}/o.jsonl", "--n", "0"], "--n must be at least 1"),
        (["--run", "{folder}/x", "--out", "{folder}/o.jsonl"], "is not a run folder"),
        (["--run", "x", "--out", "{folder}/o.jsonl", "--problems", "building_blocks"], "unknown task_id 't/0'"),
        (["--grades", "{folder}/none.csv", "--out", "{folder}/o.jsonl"], "cannot read"),
        (["--grades", "{folder}/other.csv", "--out", "{folder}/o.jsonl"], "sample 9 of 't/0' is not in"),
    ],
)
def test_bad_input(folder, capsys, words, message):
    (folder / "other.csv").write_text("task_id,sample,grade\nt/0,9,right\n")
    assert run(folder, *(word.format(folder=folder) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "o.jsonl").exists()


def test_docstrings_have_no_tests_for_score(folder, capsys):
    words = [f"{folder}/d.jsonl", "--problems", f"docstrings:{folder}/p.jsonl"]
    assert cli.run(score.main, score.Args, words) == 2
    assert "grade them with codex_jax.grade" in capsys.readouterr().err


def test_docstrings_are_sampled(folder):
    out = folder / "sampled.jsonl"
    words = [
        "--run",
        f"{folder}/run",
        "--problems",
        f"docstrings:{folder}/p.jsonl",
        "--n",
        "2",
        "--max-new-tokens",
        "8",
    ]
    assert cli.run(sample.main, sample.Args, [*words, "--out", str(out)]) == 0
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert [row["task_id"] for row in rows] == ["t/0", "t/0", "t/1", "t/1"]
