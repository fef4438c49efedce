import json
import shutil

import pytest

from codex_jax import cli, corpus, train

FLAGS = ["--model.layers", "2", "--model.width", "32", "--model.heads", "2", "--model.context", "64"]
FLAGS += ["--steps", "6", "--batch-size", "4", "--log-every", "1", "--checkpoint-every", "3"]

TIMES = {"tokens_per_second", "step_seconds", "data_seconds", "goodput", "mfu", "memory_gib"}


def untimed(row):
    """A line of metrics without the fields that depend on the clock or the machine."""
    return {name: value for name, value in row.items() if name not in TIMES and not name.startswith("total_seconds/")}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Two data sets with different tokenizers, data and other, and an experiment file x.py."""
    root = tmp_path_factory.mktemp("train")
    for n in range(30):
        (root / "src" / f"r{n % 6}").mkdir(parents=True, exist_ok=True)
        (root / "src" / f"r{n % 6}" / f"m{n}.py").write_text(f"def function_{n}(x):\n    return x * {n} + {n}\n" * 3)
    for name, vocab in (("data", 340), ("other", 330)):
        args = [f"dir:{root}/src", "--out", f"{root}/{name}", "--tokenizer", f"train:{vocab}", "--seq-len", "64"]
        assert cli.run(corpus.main, corpus.Args, args) == 0
    (root / "x.py").write_text("from codex_jax.config import TrainConfig\nconfig = TrainConfig(name='x')\n")
    return root


def run(root, name, *flags, data="data"):
    return cli.run_experiment(
        train.main,
        train.TrainArgs,
        [f"{root}/x.py", "--run-dir", f"{root}/{name}", "--data.path", f"{root}/{data}", *FLAGS, *flags],
    )


def lines(root, name):
    return [untimed(json.loads(line)) for line in (root / name / "metrics.jsonl").read_text().splitlines()]


def test_a_resumed_run_logs_what_an_uninterrupted_one_does(root):
    assert run(root, "whole") == 0
    assert run(root, "killed") == 0
    # As after a kill between steps 3 and 6: only the first checkpoint exists, and the log continues after it.
    (root / "killed" / "checkpoints" / "6").rename(root / "gone")
    assert run(root, "killed", "--resume") == 0
    assert lines(root, "killed") == lines(root, "whole")
    last = lines(root, "whole")[-1]
    assert last["step"] == 6
    assert 0 < last["bits_per_byte"] < lines(root, "whole")[0]["bits_per_byte"]


def test_evaluations_and_steps_are_logged_in_order(root):
    assert run(root, "order", "--eval-every", "2") == 0
    kinds = [(line["step"], "evaluation" if "validation_loss" in line else "step") for line in lines(root, "order")]
    assert kinds == [
        (0, "evaluation"),
        (1, "step"),
        (2, "evaluation"),  # the metrics of step 2 are read when step 3 has been dispatched
        (2, "step"),
        (3, "step"),
        (4, "evaluation"),
        (4, "step"),
        (5, "step"),
        (6, "step"),
        (6, "evaluation"),
    ]
    assert sorted(path.name for path in (root / "order" / "checkpoints").iterdir()) == ["3", "6"]


def test_resuming_before_the_first_checkpoint_starts_from_step_0(root):
    assert run(root, "early") == 0
    (root / "early" / "checkpoints").rename(root / "none_yet")
    before = lines(root, "early")
    assert run(root, "early", "--resume") == 0
    assert lines(root, "early") == before


@pytest.mark.slow
def test_a_resumed_run_may_change_speed_settings_but_not_the_model(root, capsys):
    assert run(root, "settings", "--steps", "3") == 0
    speed = ["--model.remat", "full", "--model.unroll", "2", "--loss-chunks", "2", "--accumulation", "2"]
    assert run(root, "settings", "--resume", *speed) == 0
    assert lines(root, "settings")[-1]["step"] == 6
    assert run(root, "settings", "--resume", "--model.layers", "3") == 2
    assert "was trained with another model" in capsys.readouterr().err


def resume(root, name, *flags):
    return cli.run_experiment(train.main, train.TrainArgs, ["--resume", f"{root}/{name}", *flags])


@pytest.mark.slow
def test_a_run_knows_its_settings(root, capsys):
    assert run(root, "known", "--seed", "3", "--optimizer.peak-learning-rate", "2e-3", "--steps", "3") == 0
    assert resume(root, "known", "--steps", "6") == 0
    assert [row["step"] for row in lines(root, "known")] == [0, 1, 2, 3, 3, 4, 5, 6, 6]
    config = json.loads((root / "known" / "config.json").read_text())
    assert (config["seed"], config["batch_size"], config["steps"]) == (3, 4, 6)
    assert config["optimizer"]["peak_learning_rate"] == 2e-3
    assert resume(root, "known") == 0
    assert "is at step 6 of 6 already" in capsys.readouterr().err


def test_resume_without_an_experiment_is_exact(root):
    assert run(root, "exact") == 0
    before = lines(root, "exact")
    shutil.rmtree(root / "exact" / "checkpoints" / "6")
    assert resume(root, "exact") == 0
    assert lines(root, "exact") == before


def test_a_resumed_run_refuses_other_settings_by_name(root, capsys):
    assert run(root, "kept", "--seed", "3") == 0
    shutil.rmtree(root / "kept" / "checkpoints" / "6")
    before = (root / "kept" / "config.json").read_bytes()
    capsys.readouterr()
    for call in (
        lambda: resume(root, "kept", "--batch-size", "8", "--seed", "0"),
        lambda: run(root, "kept", "--batch-size", "8", "--resume"),
    ):
        assert call() == 2
        error = capsys.readouterr().err
        assert "--batch-size 4, not 8" in error
        assert "--seed 3, not 0" in error
        assert error.count("\n") == 1
    assert resume(root, "kept", "--data.path", f"{root}/other") == 2
    assert "is not the one" in capsys.readouterr().err
    assert resume(root, "nothing") == 2
    assert "not a run folder" in capsys.readouterr().err
    assert (root / "kept" / "config.json").read_bytes() == before
    assert [path.name for path in (root / "kept" / "checkpoints").iterdir()] == ["3"]
    assert resume(root, "kept", "--seed", "0", "--override", "seed") == 0
    assert json.loads((root / "kept" / "config.json").read_text())["seed"] == 0


def test_a_run_with_init_from_resumes_without_the_other_run(root):
    assert run(root, "origin") == 0
    flags = ["--init-from", f"{root}/origin"]
    assert run(root, "from_origin", *flags) == 0
    before = lines(root, "from_origin")
    shutil.rmtree(root / "from_origin" / "checkpoints" / "6")
    shutil.rmtree(root / "origin")
    assert resume(root, "from_origin") == 0
    assert lines(root, "from_origin") == before


def test_a_run_with_init_from_starts_at_the_other_runs_loss(root):
    run(root, "base")
    assert run(root, "tuned", "--init-from", f"{root}/base") == 0
    assert lines(root, "tuned")[0]["validation_loss"] == pytest.approx(
        lines(root, "base")[-1]["validation_loss"], abs=1e-6
    )


def test_bad_input_is_one_line_and_writes_nothing(root, capsys):
    run(root, "base")
    capsys.readouterr()
    for flags, data, message in (
        ([], "data", "holds a run already"),
        (["--init-from", f"{root}/base", "--run-dir", f"{root}/n"], "other", "is not the one"),
        (["--init-from", f"{root}/none", "--run-dir", f"{root}/n"], "data", "not a run folder"),
        (["--run-dir", f"{root}/n"], "nodata", "no data set"),
        (["--run-dir", f"{root}/n", "--model.heads", "3"], "data", "multiple of --model.heads"),
        (["--run-dir", f"{root}/n", "--model.context", "32"], "data", "exceed --model.context"),
    ):
        assert run(root, "base", *flags, data=data) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.strip().count("\n") == 0
    assert not (root / "n").exists()


@pytest.mark.slow
def test_a_run_shows_what_its_model_writes_and_ends_when_it_no_longer_learns(root, capsys):
    problem = {"task_id": "m/0", "prompt": "def f(x):\n", "entry_point": "f", "canonical_solution": "    return x\n"}
    (root / "p.jsonl").write_text(json.dumps({**problem, "test": "def check(f):\n    assert f(1) == 1\n"}) + "\n")
    trials = ["--trials.prompt", "def function_1(", "--trials.problems", f"{root}/p.jsonl", "--trials.n", "2"]
    flags = [*trials, "--trials.max-new-tokens", "5", "--eval-every", "2", "--steps", "60", "--patience", "2"]
    still = ["--optimizer.peak-learning-rate", "1e-9", "--checkpoint-every", "100", "--keep-checkpoints", "1"]
    assert run(root, "shown", *flags, *still, "--profile", "1", "--resume-step", "0") == 0
    error = capsys.readouterr().err
    assert "step 2: def function_1(" in error
    ended = [line for line in error.splitlines() if "the validation loss has not fallen since step" in line]
    assert len(ended) == 1
    best = int(ended[0].split("since step ")[1].split(":")[0])
    assert ended[0].endswith(f"its best parameters are {root}/shown@{best}")
    rows = lines(root, "shown")
    last = max(row["step"] for row in rows)
    assert last < 60
    # A run that has ended early may have samples that are not scored yet.
    assert [row["pass@1"] for row in rows if "pass@1" in row] in ([0.0], [0.0, 0.0])
    assert {path.name for path in (root / "shown" / "checkpoints").iterdir()} == {str(best), str(last)} - {"0"}
    assert [*(root / "shown" / "profile").rglob("*perfetto_trace.json.gz")]


def test_what_the_trials_need_is_checked_before_the_work(root, capsys):
    for flags, message in (
        (["--trials.problems", "none.jsonl"], "none.jsonl"),
        (["--trials.n", "0"], "--trials.n must be at least 1"),
        (["--patience", "2"], "--patience needs --eval-every"),
        (["--keep-moments"], "--keep-moments needs --init-from"),
        (["--profile", "-1"], "--profile must be at least 0"),
        (["--wandb", "project"], "pip install wandb"),
    ):
        assert run(root, "refused", *flags) == 2
        assert message in capsys.readouterr().err
        assert not (root / "refused").exists()
