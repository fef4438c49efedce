import json

import pytest

from codex_jax import cli, sample
from codex_jax.problems.humaneval import humaneval_problem, write_problems
from tests.problems.test_apps import write
from tests.sampling.made_run import make_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    make_run(root)
    problems = [humaneval_problem(f"t/{n}", f"def f{n}(x):\n", f"f{n}", "", "") for n in range(2)]
    write_problems(root / "p.jsonl", problems)
    write_problems(
        root / "other.jsonl", [humaneval_problem(f"t/{n}", f"def g{n}(x):\n", f"g{n}", "", "") for n in range(2)]
    )
    write_problems(root / "long.jsonl", [humaneval_problem("t/long", "x = 1\n" * 90, "x", "", "")])
    return root


def run(root, *flags):
    return cli.run(sample.main, sample.Args, ["--run", f"{root}/run", "--max-new-tokens", "12", *flags])


def test_samples_do_not_depend_on_the_batch_or_the_other_problems(made):
    for name, batch in (("a", "5"), ("b", "2")):
        flags = ["--problems", f"{made}/p.jsonl", "--n", "5", "--batch", batch, "--out", f"{made}/{name}.jsonl"]
        assert run(made, *flags) == 0
    rows = [json.loads(line) for line in (made / "a.jsonl").read_text().splitlines()]
    others = [json.loads(line) for line in (made / "b.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in rows] == [row["completion"] for row in others]
    assert [(row["task_id"], row["sample"]) for row in rows] == [(f"t/{n}", s) for n in range(2) for s in range(5)]
    logps = {"mean_logp", "sum_logp", "sampling_mean_logp", "sampling_sum_logp"}
    others = {"task_id", "completion", "sample", "tokens", "finish", "fingerprint", "temperature"}
    assert others | logps == rows[0].keys()
    assert {row["finish"] for row in rows} <= {"stop", "eot", "length"}


def test_a_run_that_was_cut_off_is_resumed_to_the_same_file(made, capsys):
    flags = ["--problems", f"{made}/p.jsonl", "--n", "5", "--batch", "2", "--out"]
    assert run(made, *flags, f"{made}/whole.jsonl") == 0
    lines = (made / "whole.jsonl").read_text().splitlines(keepends=True)
    partial = made / "cut.jsonl.partial"
    partial.write_text("".join(lines[1:8:2]) + lines[8][:30])
    assert run(made, *flags, f"{made}/cut.jsonl") == 2
    assert "add --resume" in capsys.readouterr().err
    assert run(made, *flags, f"{made}/cut.jsonl", "--resume") == 0
    assert (made / "cut.jsonl").read_text() == "".join(lines)
    assert not partial.exists()
    # More samples of the same kind are added to those that are there.
    assert run(made, *flags, f"{made}/cut.jsonl", "--resume", "--n", "6") == 0
    grown = (made / "cut.jsonl").read_text().splitlines(keepends=True)
    assert grown[:5] + grown[6:11] == lines
    for other in (["--seed", "1"], ["--temperature", "0.5"], ["--problems", f"{made}/other.jsonl"]):
        assert run(made, *flags, f"{made}/cut.jsonl", "--resume", *other) == 2
        assert "another run" in capsys.readouterr().err
    assert (made / "cut.jsonl").read_text().splitlines(keepends=True) == grown


def test_a_pipe_is_answered_with_the_lines_of_a_file(made, capsys, monkeypatch):
    assert run(made, "--problems", f"{made}/p.jsonl", "--n", "3", "--out", f"{made}/file.jsonl") == 0
    capsys.readouterr()
    lines = (made / "p.jsonl").read_text()
    (made / "stdin").write_text(lines + "{}\n" + lines)
    with (made / "stdin").open() as source:
        monkeypatch.setattr("sys.stdin", source)
        assert run(made, "--problems", "-", "--n", "3") == 2
    out, err = capsys.readouterr()
    assert sorted(out.splitlines()) == sorted((made / "file.jsonl").read_text().splitlines())
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        "error: stdin line 3: 'task_id' is missing or not text"
    ]


def test_prompt_is_printed_with_its_completion(made, capsys):
    assert run(made, "--prompt", "def f(", "--n", "2") == 0
    out = capsys.readouterr().out
    assert out.count("def f(") >= 2
    assert "[sample 1: " in out


def test_bad_input_leaves_nothing(made, capsys):
    problems = ["--problems", f"{made}/p.jsonl", "--out", f"{made}/new.jsonl"]
    for flags, message in (
        (["--problems", f"{made}/long.jsonl", "--out", f"{made}/new.jsonl"], "t/long: a prompt of"),
        (["--prompt", "x = 1\n" * 90], "leaves no room"),
        ([*problems, "--temperature", "-1"], "--temperature"),
        ([*problems, "--top-p", "0"], "--top-p"),
        ([*problems, "--n", "0"], "--n must"),
        ([*problems, "--max-new-tokens", "0"], "--max-new-tokens must"),
        ([*problems, "--stop", "\nclass", ""], "a stop string is empty"),
        ([*problems, "--seed", "-1"], "--seed must"),
        ([*problems, "--mesh.model", "3"], "does not cover"),
        (["--problems", f"{made}/x.py", "--out", f"{made}/new.jsonl"], "x.py line 1: not JSON"),
        (["--problems", f"{made}/none.jsonl", "--out", f"{made}/new.jsonl"], "no problems file"),
        ([*problems, "--run", f"{made}/none"], "not a run folder"),
        ([*problems[:2]], "--out"),
        ([*problems[:2], "--out", "-"], "--out samples.jsonl"),
        (["--problems", "-", "--out", f"{made}/new.jsonl"], "redirect it"),
        (["--problems", "-", "--resume"], "redirect it"),
        ([], "--prompt"),
        ([*problems[:2], "--out", "/proc/x/new.jsonl"], "cannot write"),
    ):
        assert run(made, *flags) == 2
        err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(err) == 1
        assert message in err[0]
    assert not list(made.glob("new.jsonl*"))


def test_run_without_a_checkpoint(made, capsys):
    (made / "bare").mkdir(exist_ok=True)
    (made / "bare" / "config.json").write_text((made / "run" / "config.json").read_text())
    assert run(made, "--prompt", "x", "--run", f"{made}/bare") == 2
    assert "has no checkpoint" in capsys.readouterr().err


def test_every_benchmark_has_its_prompts(made, capsys):
    call = {"fn_name": "f", "inputs": [[1]], "outputs": [2]}
    for number, question in enumerate(("Add.", "Add " + "one " * 90)):
        write(made / "apps" / f"000{number}", "interview", input_output=call)
        (made / "apps" / f"000{number}" / "question.txt").write_text(question)
    row = {"task_id": 1, "text": "A", "code": "def f(): 1", "test_list": ["assert f()"]}
    (made / "mbpp.jsonl").write_text(json.dumps(row) + "\n")
    out = made / "other.jsonl"
    flags = ("--n", "2", "--max-new-tokens", "4", "--out", str(out))
    assert run(made, "--problems", f"apps:{made}/apps", *flags) == 2
    assert "apps/0001: a prompt of" in capsys.readouterr().err
    for spec, task_id in ((f"apps:{made}/apps", "apps/0000"), (f"mbpp:{made}/mbpp.jsonl", "MBPP/1")):
        assert run(made, "--problems", spec, *flags, "--skip-long") == 0
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(row["task_id"], row["sample"], row["temperature"]) for row in rows] == [
            (task_id, n, 0.8) for n in (0, 1)
        ]
    assert "apps/0001 left out: a prompt of" in capsys.readouterr().err
    (made / "only").mkdir()
    (made / "apps" / "0001").rename(made / "only" / "0001")
    assert run(made, "--problems", f"apps:{made}/only", *flags, "--skip-long") == 2
    assert "no prompt of" in capsys.readouterr().err
