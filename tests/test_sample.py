import itertools
import json
import os
import subprocess
import sys

import pytest

from codex_jax import cli, sample
from codex_jax.problems.humaneval import humaneval_problem, write_problems
from codex_jax.sampling.generate import sample_all
from codex_jax.sampling.sampler import Sampler
from codex_jax.terminal import plain
from tests.problems.test_apps import write
from tests.sampling.made_run import make_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    make_run(root)
    problems = [humaneval_problem(f"t/{n}", f"def f{n}(x):\n", f"f{n}", "", "") for n in range(2)]
    write_problems(root / "p.jsonl", problems)
    write_problems(
        root / "other.jsonl", [humaneval_problem(f"t/{n}", f"def g{n}(x):\n", f"g{n}", "", "") for n in range(2)]
    )
    write_problems(root / "long.jsonl", [humaneval_problem("t/long", "x = 1\n" * 90, "x", "", "")])
    return root


def run(folder, *flags):
    return cli.run(sample.main, sample.Args, ["--run", f"{folder}/run", "--max-new-tokens", "12", *flags])


@pytest.mark.slow
def test_samples_do_not_depend_on_the_batch_or_the_other_problems(folder):
    for name, batch in (("a", "5"), ("b", "2")):
        flags = ["--problems", f"{folder}/p.jsonl", "--n", "5", "--batch", batch, "--out", f"{folder}/{name}.jsonl"]
        assert run(folder, *flags) == 0
    rows = [json.loads(line) for line in (folder / "a.jsonl").read_text().splitlines()]
    others = [json.loads(line) for line in (folder / "b.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in rows] == [row["completion"] for row in others]
    assert [(row["task_id"], row["sample"]) for row in rows] == [(f"t/{n}", s) for n in range(2) for s in range(5)]
    logps = {"mean_logp", "sum_logp", "sampling_mean_logp", "sampling_sum_logp"}
    others = {"task_id", "completion", "sample", "tokens", "finish", "fingerprint", "temperature"}
    assert others | logps == rows[0].keys()
    assert {row["finish"] for row in rows} <= {"stop", "eot", "length"}


def interrupt(folder, *flags):
    """Draws some of the samples and stops; returns the journal."""
    out = folder / "cut.jsonl"

    def sample_four(*args):
        return itertools.islice(sample_all(*args), 4)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sample, "sample_all", sample_four)
        patch.setattr(sample.SamplesFile, "publish", lambda self, names: None)
        assert run(folder, *flags, f"{out}") == 0
    assert not out.exists()
    return folder / "cut.jsonl.partial"


def test_an_interrupted_run_is_resumed_to_the_same_file(folder, capsys):
    flags = ["--problems", f"{folder}/p.jsonl", "--n", "5", "--batch", "2", "--out"]
    assert run(folder, *flags, f"{folder}/whole.jsonl") == 0
    lines = (folder / "whole.jsonl").read_text().splitlines(keepends=True)
    partial = interrupt(folder, *flags)
    with partial.open("a") as file:
        file.write(lines[8][:30])
    assert run(folder, *flags, f"{folder}/cut.jsonl") == 2
    assert "add --resume" in capsys.readouterr().err
    assert run(folder, *flags, f"{folder}/cut.jsonl", "--resume") == 0
    assert (folder / "cut.jsonl").read_text() == "".join(lines)
    assert not partial.exists()
    # A larger --n adds samples to a finished file.
    assert run(folder, *flags, f"{folder}/cut.jsonl", "--resume", "--n", "6") == 0
    grown = (folder / "cut.jsonl").read_text().splitlines(keepends=True)
    assert grown[:5] + grown[6:11] == lines
    for other in (["--seed", "1"], ["--temperature", "0.5"], ["--problems", f"{folder}/other.jsonl"]):
        assert run(folder, *flags, f"{folder}/cut.jsonl", "--resume", *other) == 2
        assert "another run" in capsys.readouterr().err
    assert (folder / "cut.jsonl").read_text().splitlines(keepends=True) == grown


def test_a_pipe_gets_the_same_lines_as_a_file(folder, capsys, monkeypatch):
    assert run(folder, "--problems", f"{folder}/p.jsonl", "--n", "3", "--out", f"{folder}/file.jsonl") == 0
    capsys.readouterr()
    lines = (folder / "p.jsonl").read_text()
    (folder / "stdin").write_text(lines + "{}\n" + lines)
    with (folder / "stdin").open() as source:
        monkeypatch.setattr("sys.stdin", source)
        assert run(folder, "--problems", "-", "--n", "3") == 2
    out, err = capsys.readouterr()
    assert sorted(out.splitlines()) == sorted((folder / "file.jsonl").read_text().splitlines())
    assert [line for line in err.splitlines() if line.startswith("error: ")] == [
        "error: stdin line 3: 'task_id' is missing or not text"
    ]


def test_prompt_is_printed_with_its_completion(folder, capsys):
    assert run(folder, "--prompt", "def f(", "--n", "2") == 0
    out = capsys.readouterr().out
    assert out.count("def f(") >= 2
    assert "[sample 1: " in out


def test_bad_input_leaves_no_files(folder, capsys):
    problems = ["--problems", f"{folder}/p.jsonl", "--out", f"{folder}/new.jsonl"]
    for flags, message in (
        (["--problems", f"{folder}/long.jsonl", "--out", f"{folder}/new.jsonl"], "t/long: a prompt of"),
        (["--prompt", "x = 1\n" * 90], "leaves no room"),
        ([*problems, "--temperature", "-1"], "--temperature"),
        ([*problems, "--top-p", "0"], "--top-p"),
        ([*problems, "--n", "0"], "--n must"),
        ([*problems, "--max-new-tokens", "0"], "--max-new-tokens must"),
        ([*problems, "--stop", "\nclass", ""], "a stop string is empty"),
        ([*problems, "--seed", "-1"], "--seed must"),
        ([*problems, "--mesh.model", "3"], "does not cover"),
        (["--problems", f"{folder}/x.py", "--out", f"{folder}/new.jsonl"], "x.py line 1: not JSON"),
        (["--problems", f"{folder}/none.jsonl", "--out", f"{folder}/new.jsonl"], "no problems file"),
        ([*problems, "--run", f"{folder}/none"], "not a run folder"),
        ([*problems[:2]], "--out"),
        ([*problems[:2], "--out", "-"], "--out samples.jsonl"),
        (["--problems", "-", "--out", f"{folder}/new.jsonl"], "redirect it"),
        (["--problems", "-", "--resume"], "redirect it"),
        ([], "--prompt"),
        ([*problems[:2], "--out", "/proc/x/new.jsonl"], "cannot write"),
    ):
        assert run(folder, *flags) == 2
        err = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
        assert len(err) == 1
        assert message in err[0]
    assert not list(folder.glob("new.jsonl*"))


def test_run_without_a_checkpoint(folder, capsys):
    (folder / "bare").mkdir(exist_ok=True)
    (folder / "bare" / "config.json").write_text((folder / "run" / "config.json").read_text())
    assert run(folder, "--prompt", "x", "--run", f"{folder}/bare") == 2
    assert "has no checkpoint" in capsys.readouterr().err


def test_a_step_of_a_run_is_named_after_an_at_sign(folder, capsys):
    texts = []
    for named in ("run", "run@3"):
        assert run(folder, "--prompt", "def f(x):", "--run", f"{folder}/{named}") == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1]
    assert run(folder, "--prompt", "def f(x):", "--run", f"{folder}/run@2") == 2
    assert "has no checkpoint of step 2: it has 3" in capsys.readouterr().err


def test_samples_are_not_replaced_and_a_folder_is_refused_before_the_run_is_loaded(folder, capsys):
    (folder / "held.jsonl").write_text("{}\n")
    for out, message in (("held.jsonl", "holds samples already"), ("run", "is a folder"), ("held.jsonl/s", "cannot")):
        words = ("--problems", f"{folder}/p.jsonl", "--out", f"{folder}/{out}", "--run", "none")
        assert run(folder, *words) == 2
        assert message in capsys.readouterr().err
    assert (folder / "held.jsonl").read_text() == "{}\n"


def test_every_benchmark_has_its_prompts(folder, capsys):
    call = {"fn_name": "f", "inputs": [[1]], "outputs": [2]}
    for number, question in enumerate(("Add.", "Add " + "one " * 90)):
        write(folder / "apps" / f"000{number}", "interview", input_output=call)
        (folder / "apps" / f"000{number}" / "question.txt").write_text(question)
    row = {"task_id": 1, "text": "A", "code": "def f(): 1", "test_list": ["assert f()"]}
    (folder / "mbpp.jsonl").write_text(json.dumps(row) + "\n")
    out = folder / "benchmark.jsonl"
    flags = ("--n", "2", "--max-new-tokens", "4", "--out", str(out))
    assert run(folder, "--problems", f"apps:{folder}/apps", *flags) == 2
    assert "apps/0001: a prompt of" in capsys.readouterr().err
    for spec, task_id in ((f"apps:{folder}/apps", "apps/0000"), (f"mbpp:{folder}/mbpp.jsonl", "MBPP/1")):
        out.unlink(missing_ok=True)
        assert run(folder, "--problems", spec, *flags, "--skip-long") == 0
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [(row["task_id"], row["sample"], row["temperature"]) for row in rows] == [
            (task_id, n, 0.8) for n in (0, 1)
        ]
    assert "skipped apps/0001: a prompt of" in capsys.readouterr().err
    (folder / "only").mkdir()
    (folder / "apps" / "0001").rename(folder / "only" / "0001")
    out.unlink()
    assert run(folder, "--problems", f"apps:{folder}/only", *flags, "--skip-long") == 2
    assert "no prompt of" in capsys.readouterr().err


@pytest.fixture(scope="module")
def drawn(folder):
    """The samples that a process of its own draws, by the variables of its environment."""

    def draw(**variables):
        out = folder / f"{'-'.join(variables) or 'plain'}.jsonl"
        words = [
            "--run",
            f"{folder}/run",
            "--problems",
            f"{folder}/p.jsonl",
            "--out",
            str(out),
            "--max-new-tokens",
            "9",
        ]
        command = [sys.executable, "-m", "codex_jax.sample", *words, "--top-k", "50"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
        assert "Traceback" not in done.stderr
        return done.returncode, out.read_bytes() if out.exists() else b"", done.stderr

    return draw


@pytest.mark.slow
def test_variables_of_jax_change_no_sample(drawn):
    _, usual, _ = drawn()
    assert usual
    for name, value in (
        ("JAX_ENABLE_X64", "1"),
        ("JAX_DEFAULT_PRNG_IMPL", "rbg"),
        ("JAX_THREEFRY_PARTITIONABLE", "0"),
        ("JAX_RANDOM_SEED_OFFSET", "7"),
    ):
        code, samples, err = drawn(**{name: value})
        assert (code, samples) == (0, usual), name
        assert f"{name}={value} is ignored" in err


def test_a_platform_that_is_not_there_is_bad_input(drawn):
    code, _, err = drawn(JAX_PLATFORMS="nonsense")
    assert code == 2
    assert "error: JAX cannot start: Unable to initialize backend 'nonsense'" in err


def test_a_prompt_is_utf8_in_every_locale(folder, capsys):
    posix = "\udce6\udcb1\udc89"  # the bytes of 汉, as Python reads an argument in a locale without UTF-8
    assert run(folder, "--prompt", posix) == 0
    first = capsys.readouterr().out
    assert run(folder, "--prompt", "汉") == 0
    assert capsys.readouterr().out == first
    assert first.startswith("汉")
    for flags in (["--prompt", "x\udcff"], ["--prompt", "x", "--stop", "\udcff"]):
        assert run(folder, *flags) == 2
        assert f"error: {flags[-2]} is not UTF-8 text" in capsys.readouterr().err


def test_a_prompt_is_shown_as_text_and_drawn_as_from_python(folder, capsys):
    assert run(folder, "--prompt", "x\x1b]0;t\x07", "--seed", "3") == 0
    out = capsys.readouterr().out
    assert out.startswith("x\\x1b]0;t\\x07")
    assert not {"\x1b", "\x07"} & set(out)
    assert run(folder, "--prompt", "def f(x):", "--seed", "3") == 0
    out = capsys.readouterr().out
    ((sample,),) = Sampler(folder / "run").sample(["def f(x):"], seed=3, max_new_tokens=12)
    assert plain(f"def f(x):{sample.completion}", keep="\n\t") in out
