from dataclasses import dataclass

import pytest

from codex_jax import cli
from codex_jax.config import DataConfig, TrainConfig
from codex_jax.errors import InputError


@dataclass(frozen=True)
class Args:
    steps: int = 3


def test_bad_flag_is_one_line_and_two(capsys):
    assert cli.run(lambda args: 0, Args, ["--steps", "many"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "--steps" in err
    assert "many" in err


def test_unknown_flag_is_named_with_what_was_meant(capsys):
    assert cli.run(lambda args: 0, Args, ["--step", "3"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "Unrecognized options: --step, 3; Perhaps you meant: --steps" in err


def test_input_error_is_one_line_and_two(capsys):
    def main(args):
        raise InputError("no such\nfolder")

    assert cli.run(main, Args, []) == 2
    assert capsys.readouterr().err == "error: no such folder\n"


def test_exit_code_of_main():
    assert cli.run(lambda args: 1 if args.steps == 4 else None, Args, ["--steps", "4"]) == 1
    assert cli.run(lambda args: None, Args, []) == 0


@dataclass(frozen=True)
class RunArgs(cli.ExperimentArgs):
    """A command that is given an experiment."""

    resume: bool = False


@pytest.fixture
def experiments(tmp_path):
    """A folder with an experiment file of one config, and one of two; each counts how often it is run."""
    count = f"open({str(tmp_path / 'runs')!r}, 'a').write('x')\n"
    start = f"{count}from codex_jax.config import DataConfig, TrainConfig\n"
    (tmp_path / "one.py").write_text(f"{start}config = TrainConfig(steps=7, data=DataConfig(path='d'))\n")
    (tmp_path / "two.py").write_text(f"{start}configs = {{'a': TrainConfig(steps=1), 'b': TrainConfig(steps=2)}}\n")
    return tmp_path


def experiment(*words):
    """(exit code, the arguments that the command got)."""
    received = []

    def main(args):
        received.append(args)

    return cli.run_experiment(main, RunArgs, [*words]), *received


def test_an_experiment_gives_the_defaults_of_the_flags(experiments):
    code, args = experiment(f"{experiments}/one.py", "--seed", "3", "--data.train-split", "t", "--resume")
    assert code == 0
    assert (args.steps, args.seed, args.resume) == (7, 3, True)
    assert args.config() == TrainConfig(steps=7, seed=3, data=DataConfig(path="d", train_split="t"))
    assert args.defaults == TrainConfig(steps=7, data=DataConfig(path="d"))
    assert args.experiment == f"{experiments}/one.py"
    assert (experiments / "runs").read_text() == "x"  # the file has been run once
    assert experiment(f"{experiments}/two.py:b")[1].steps == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "name an experiment file first"),
        (["--steps", "3"], "name an experiment file first"),
        (["missing.py"], "no experiment file missing.py"),
        (["two.py"], "name one of the experiments of two.py as two.py:NAME; it has a, b"),
        (["two.py:c"], "it has a, b"),
        (["one.py", "more"], "unexpected argument 'more'"),
        (["one.py", "--defaults.steps", "3"], "Unrecognized options: --defaults.steps"),
    ],
)
def test_a_bad_experiment_is_one_line_and_two(experiments, monkeypatch, capsys, words, message):
    monkeypatch.chdir(experiments)
    assert experiment(*words) == (2,)
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "steps"),
    [(["--help"], 1000), (["one.py", "--help"], 7), (["two.py:b", "-h"], 2), (["two.py", "--help"], 1000)],
)
def test_help_shows_every_flag_with_the_experiments_defaults(experiments, monkeypatch, capsys, words, steps):
    monkeypatch.chdir(experiments)
    with pytest.raises(SystemExit) as stop:
        experiment(*words)
    assert stop.value.code in (0, None)
    text = capsys.readouterr().out
    assert "--resume" in text
    assert "--model.layers" in text
    assert f"(default: {steps})" in next(line for line in text.splitlines() if "--steps" in line)
    assert "--defaults" not in text
    assert ("it has a, b" in " ".join(text.split())) == (words[0] == "two.py")
