import json

import pytest

from codex_jax import cli, corpus, train

FLAGS = ["--model.layers", "2", "--model.width", "32", "--model.heads", "2", "--model.context", "64"]
FLAGS += ["--steps", "6", "--batch-size", "4", "--log-every", "1", "--checkpoint-every", "3"]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
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
    rows = [json.loads(line) for line in (root / name / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in row.items() if k != "tokens_per_second"} for row in rows]


def test_resume_goes_on_exactly(made):
    assert run(made, "whole") == 0
    assert run(made, "killed") == 0
    # As after a kill between steps 3 and 6: the last checkpoint is gone, and the log runs past the one before.
    (made / "killed" / "checkpoints" / "6").rename(made / "gone")
    assert run(made, "killed", "--resume") == 0
    assert lines(made, "killed") == lines(made, "whole")
    last = lines(made, "whole")[-1]
    assert last["step"] == 6
    assert 0 < last["bits_per_byte"] < lines(made, "whole")[0]["bits_per_byte"]


def test_resume_before_the_first_checkpoint_starts_the_run_again(made):
    assert run(made, "early") == 0
    (made / "early" / "checkpoints").rename(made / "none_yet")
    before = lines(made, "early")
    assert run(made, "early", "--resume") == 0
    assert lines(made, "early") == before


def test_speed_settings_may_change_on_the_way_and_the_shape_may_not(made, capsys):
    assert run(made, "settings", "--steps", "3") == 0
    speed = ["--model.remat", "full", "--model.unroll", "2", "--loss-chunks", "2", "--accumulation", "2"]
    assert run(made, "settings", "--resume", *speed) == 0
    assert lines(made, "settings")[-1]["step"] == 6
    assert run(made, "settings", "--resume", "--model.layers", "3") == 2
    assert "was trained with another model" in capsys.readouterr().err


def test_init_from_starts_at_the_other_runs_loss(made):
    run(made, "base")
    assert run(made, "tuned", "--init-from", f"{made}/base") == 0
    assert lines(made, "tuned")[0]["validation_loss"] == pytest.approx(
        lines(made, "base")[-1]["validation_loss"], abs=1e-6
    )


def test_bad_input(made, capsys):
    run(made, "base")
    capsys.readouterr()
    for flags, data, message in (
        ([], "data", "holds a run already"),
        (["--init-from", f"{made}/base", "--run-dir", f"{made}/n"], "other", "is not the one"),
        (["--init-from", f"{made}/none", "--run-dir", f"{made}/n"], "data", "not a run folder"),
        (["--run-dir", f"{made}/n"], "nodata", "no data set"),
        (["--run-dir", f"{made}/n", "--model.heads", "3"], "data", "multiple of --model.heads"),
        (["--run-dir", f"{made}/n", "--model.context", "32"], "data", "exceed --model.context"),
    ):
        assert run(made, "base", *flags, data=data) == 2
        err = capsys.readouterr().err
        assert message in err
        assert err.strip().count("\n") == 0
    assert not (made / "n").exists()
