from dataclasses import dataclass

from codex_jax import cli
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
