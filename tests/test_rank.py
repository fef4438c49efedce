"""The command rank, with a run of a few steps."""

import json
import os
import subprocess
import sys

import pytest

from codex_jax import cli, rank
from codex_jax.problems.humaneval import humaneval_problem, write_problems
from codex_jax.sampling.sampler import Sampler
from codex_jax.storage.jsonl import read_objects, write_objects
from tests.sampling.made_run import make_run

PROMPT = 'def f(x):\n    """Adds one."""\n'
TEST = "def check(candidate):\n    assert candidate(1) == 2\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("rank")
    make_run(root)
    write_problems(root / "p.jsonl", [problem("t/0"), problem("t/1")])
    rows = [
        {"task_id": f"t/{task}", "sample": n, "completion": f"    return x + {n}\n", "mean_logp": -1.0 - n % 3 / 10}
        for task in (0, 1)
        for n in range(5)
    ]
    rows = [{**row, "sum_logp": row["sample"] - 9.0, "passed": row["sample"] == 1} for row in rows]
    write_objects(root / "s.jsonl", [*rows, {**rows[0], "sample": 5}])
    return root


def problem(task_id):
    return humaneval_problem(task_id, PROMPT, "f", "    return x + 1\n", TEST)


def run(folder, *words):
    return cli.run(rank.main, rank.Args, [str(folder / "s.jsonl"), "--problems", str(folder / "p.jsonl"), *words])


@pytest.mark.slow
def test_back_translation_is_added_whatever_the_batch(folder, capsys):
    ranked = []
    for batch in ("1", "8"):
        out = folder / f"ranked{batch}.jsonl"
        assert run(folder, "--run", f"{folder}/run", "--out", str(out), "--batch", batch) == 0
        ranked.append(list(read_objects(out)))
        assert not out.with_name(out.name + ".partial").exists()
    assert "11 of 11 samples, 2 of which pass" in capsys.readouterr().out
    samples = list(read_objects(folder / "s.jsonl"))
    sampler = Sampler(folder / "run")
    pairs = [(f'def f(x):\n{row["completion"].rstrip()}\n\n"""\n', 'Adds one.\n"""') for row in samples]
    for row, other, sample, score in zip(*ranked, samples, sampler.score(pairs), strict=True):
        assert {name: row[name] for name in sample} == sample
        assert row["back_translation_logp"] == pytest.approx(score.sum_logp, rel=1e-5)
        assert row["back_translation_logp"] == pytest.approx(other["back_translation_logp"], rel=1e-5)
    assert ranked[0][0]["back_translation_logp"] == ranked[0][10]["back_translation_logp"]


def test_an_interrupted_command_resumes(folder, monkeypatch):
    out, whole = folder / "resumed.jsonl", folder / "whole.jsonl"
    words = ("--run", f"{folder}/run", "--batch", "2")
    assert run(folder, *words, "--out", str(whole)) == 0
    real, scored = rank.back_translate, []

    def interrupted(engine, pairs, batch):
        for number, one in enumerate(real(engine, pairs, batch)):
            if number == 2 and not scored:
                raise KeyboardInterrupt
            yield one
        scored.append(len(pairs))

    monkeypatch.setattr(rank, "back_translate", interrupted)
    assert run(folder, *words, "--out", str(out)) == 130
    assert not out.exists()
    journal = (folder / "resumed.jsonl.partial").read_text()
    assert len(journal.splitlines()) == 3
    scored.append(0)
    assert run(folder, *words, "--out", str(out)) == 0
    assert scored == [0, 3]  # of five distinct pairs
    assert [*map(json.dumps, read_objects(out))] == pytest.approx([*map(json.dumps, read_objects(whole))])


@pytest.mark.parametrize(
    ("by", "chosen"), [("mean_logp", [0, 0]), ("sum_logp", [4, 4]), ("oracle", [1, 1]), ("random", None)]
)
def test_the_best_sample_of_each_problem(folder, by, chosen):
    out = folder / f"{by}.jsonl"
    assert run(folder, "--by", by, "--best", "1", "--out", str(out)) == 0
    rows = list(read_objects(out))
    assert [row["task_id"] for row in rows] == ["t/0", "t/1"]
    assert chosen in (None, [row["sample"] for row in rows])
    out.unlink()
    assert run(folder, "--by", by, "--best", "9", "--out", str(out)) == 0
    assert len(list(read_objects(out))) == 11


def test_the_best_by_back_translation_in_one_command(folder):
    out, ranked = folder / "best.jsonl", folder / "all.jsonl"
    assert run(folder, "--run", f"{folder}/run", "--by", "back_translation", "--best", "2", "--out", str(out)) == 0
    assert run(folder, "--run", f"{folder}/run", "--out", str(ranked)) == 0
    for task in ("t/0", "t/1"):
        every = [row["back_translation_logp"] for row in read_objects(ranked) if row["task_id"] == task]
        best = [row["back_translation_logp"] for row in read_objects(out) if row["task_id"] == task]
        assert best == pytest.approx(sorted(every)[-1:-3:-1])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --run CODEX_D"),
        (["--by", "back_translation"], "has no 'back_translation_logp': rank it with --run"),
        (["--by", "mean_logp", "--best", "0"], "--best and --batch must be at least 1"),
        (["--by", "mean_logp", "--out", "{folder}/s.jsonl"], "the results would replace"),
        (["--by", "mean_logp", "--out", "{folder}/no/o.jsonl"], "no folder"),
        (
            ["--by", "mean_logp", "--problems", "building_blocks"],
            "unknown task_id 't/0': is it from another",
        ),
        (["--by", "mean_logp", "--problems", "{folder}/none.jsonl"], "no problems file"),
        (["--run", "{folder}/none"], "is not a run folder"),
        (["--run", "{folder}/run", "--problems", "{folder}/entry.jsonl"], "does not define its entry_point 'g'"),
        (["--run", "{folder}/run", "--problems", "{folder}/bare.jsonl"], "has no docstring"),
    ],
)
def test_bad_input(folder, capsys, words, message):
    test = "def check(candidate): pass"
    for name, prompt, entry_point in (("entry", PROMPT, "g"), ("bare", "def f(x):\n", "f")):
        problems = [humaneval_problem(f"t/{n}", prompt, entry_point, "    return 1\n", test) for n in (0, 1)]
        write_problems(folder / f"{name}.jsonl", problems)
    out = folder / "bad.jsonl"
    assert run(folder, "--out", str(out), *(word.format(folder=folder) for word in words)) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not out.exists()
    assert not (folder / "bad.jsonl.partial").exists()


def test_samples_that_the_model_cannot_see_whole_are_refused_before_work_begins(folder, capsys):
    long = folder / "long.jsonl"
    write_objects(long, [*read_objects(folder / "s.jsonl"), {"task_id": "t/1", "sample": 7, "completion": "x y " * 40}])
    words = [str(long), "--problems", str(folder / "p.jsonl"), "--run", f"{folder}/run", "--out", f"{folder}/o.jsonl"]
    assert cli.run(rank.main, rank.Args, words) == 2
    error = capsys.readouterr().err
    assert "sample 7 of t/1 has" in error
    assert "the model sees 64" in error
    assert not (folder / "o.jsonl").exists()
    assert not (folder / "o.jsonl.partial").exists()
    assert cli.run(rank.main, rank.Args, [*words, "--skip-long"]) == 0
    assert "1 of 12 samples are too long" in capsys.readouterr().err
    assert len(list(read_objects(folder / "o.jsonl"))) == 11


def test_another_model_does_not_resume(folder, capsys):
    out = folder / "mixed.jsonl"
    (folder / "mixed.jsonl.partial").write_text('{"samples": "x", "problems": "y", "model": "z"}\n')
    assert run(folder, "--run", f"{folder}/run", "--out", str(out)) == 2
    assert "belongs to a run with other samples and problems and model" in capsys.readouterr().err
    out.write_text("{}\n")
    assert run(folder, "--run", f"{folder}/run", "--out", str(out)) == 2
    assert "exists already" in capsys.readouterr().err


def test_as_a_process(folder):
    out = folder / "process.jsonl"
    words = [
        str(folder / "s.jsonl"),
        "--problems",
        str(folder / "p.jsonl"),
        "--run",
        f"{folder}/run",
        "--out",
        str(out),
    ]
    command = [sys.executable, "-m", "codex_jax.rank", *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert len(list(read_objects(out))) == 11
