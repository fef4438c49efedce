"""Runs a command: tyro parses its flags, and an error becomes one line and an exit code.

Exit codes: 0 done; 1 completed, negative result; 2 bad input; 70 unexpected error; 130 interrupted.
"""

import contextlib
import dataclasses
import io
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TextIO, TypeVar

import tyro

from codex_jax import failure
from codex_jax.config import TrainConfig, load_experiment
from codex_jax.errors import InputError

Args = TypeVar("Args")
Main = Callable[[Any], int | None]
Command = tuple[Main, type]  # a function and the dataclass of its flags
Experiment = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="EXPERIMENT")]
Defaults = Annotated[TrainConfig, tyro.conf.Fixed, tyro.conf.Suppress]  # not a flag


def parse(
    args_type: type[Args], argv: list[str] | None = None, default: Args | None = None, description: str | None = None
) -> Args:
    """Parses argv into args_type; description: the text above the flags in --help; InputError for a bad flag."""
    stderr = io.StringIO()
    main = sys.modules["__main__"].__spec__
    prog = f"python -m {main.name.removesuffix('.__main__')}" if main else f"python {os.path.relpath(sys.argv[0])}"
    options: dict[str, Any] = {"prog": prog, "args": argv, "description": description}
    if default is not None:
        options["default"] = default
    try:
        with contextlib.redirect_stderr(stderr):
            return tyro.cli(args_type, **options)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise InputError(f"{_one_line(stderr.getvalue())} (see --help)") from None


def _one_line(box: str) -> str:
    # The text of tyro's error box without the sections that repeat the help. Lines separate the sections; the box is
    # in ASCII if the terminal has no box characters.
    inner = [line.strip("│| ") for line in box.splitlines() if not line.startswith(("╭", "╰", "+"))]
    sections = [" ".join(part.split()) for part in re.split(r"[─-]{4,}", "\n".join(inner))]
    parts = [part for part in sections if part and not part.startswith(("Argument helptext", "For full helptext"))]
    return "; ".join(parts)[:300] or "cannot read the arguments"


def guarded(body: Callable[[], int | None]) -> int:
    """Runs body() and returns its exit code; an error becomes one line on stderr and an exit code: see failure.py."""
    _prepare_streams()
    try:
        try:
            code = body() or 0
            sys.stdout.flush()
        except BrokenPipeError:  # the reader of our output, such as head, has closed it
            code = 0
        except (Exception, KeyboardInterrupt) as error:
            code = failure.report(error)
        for stream in (sys.stdout, sys.stderr):
            _drop_what_cannot_be_written(stream)
    except KeyboardInterrupt:  # a second one
        code = failure.INTERRUPTED
    return code


def _prepare_streams() -> None:
    # A closed descriptor would be given to the next file that is opened, and then be written to as stdout.
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        with contextlib.suppress(OSError):
            try:
                os.fstat(number)
            except OSError:
                os.open(os.devnull, os.O_RDWR)
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), "w" if number else "r", encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # characters that the terminal lacks become escapes
            stream.reconfigure(errors="backslashreplace")


def _drop_what_cannot_be_written(stream: TextIO) -> None:
    # Otherwise Python would try again at exit, and print an error of its own.
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run(
    main: Main, args_type: type, argv: list[str] | None = None, subcommands: Mapping[str, Command] | None = None
) -> int:
    """Parses the flags, runs main(args) and returns the exit code.

    subcommands: name -> the function and flags to use if the first argument is that name; --help lists them.
    """
    words = sys.argv[1:] if argv is None else argv
    subcommands = subcommands or {}
    if words and words[0] in subcommands:
        main, args_type = subcommands[words[0]]
        words, subcommands = words[1:], {}
    listed = "".join(f"\n\nSubcommand {name}: {_summary(kind)}" for name, (_, kind) in subcommands.items())
    description = (args_type.__doc__ or "") + listed
    return guarded(lambda: main(parse(args_type, words, description=description)))


def _summary(args_type: type) -> str:
    return (args_type.__doc__ or "").strip().splitlines()[0]


@dataclasses.dataclass(frozen=True)
class ExperimentArgs(TrainConfig):
    """The settings of a run as flags; an experiment file gives their defaults. Commands add flags in a subclass."""

    experiment: Experiment = ""  # EXPERIMENT.py, or EXPERIMENT.py:NAME if it has several
    defaults: Defaults = dataclasses.field(default_factory=TrainConfig)  # the experiment file's own config

    @staticmethod
    def split(words: Sequence[str]) -> tuple[str, list[str]]:
        """(the experiment, the other words) of a command line; "" if it names none."""
        named = bool(words) and not words[0].startswith("-")
        return (words[0], [*words[1:]]) if named else ("", [*words])

    @staticmethod
    def load(experiment: str) -> TrainConfig:
        """The settings of an experiment; InputError if there is no such experiment."""
        return load_experiment(experiment)

    def config(self) -> TrainConfig:
        """The settings of the run, without the command's own flags."""
        return TrainConfig(**{field.name: getattr(self, field.name) for field in dataclasses.fields(TrainConfig)})


def run_experiment(main: Main, args_type: type[ExperimentArgs], argv: list[str] | None = None) -> int:
    """As run, for a command whose first argument is an experiment file; --help shows the module's docstring."""
    words = sys.argv[1:] if argv is None else argv

    def body() -> int | None:
        description = sys.modules[main.__module__].__doc__ or ""
        name, flags = args_type.split(words)
        help_flags = [word for word in flags if word in ("-h", "--help")][:1]
        try:
            config = args_type.load(name)
        except InputError as error:
            if help_flags:
                parse(args_type, help_flags, None, f"{description}\n\n{error}" if name else description)
            raise
        settings = {field.name: getattr(config, field.name) for field in dataclasses.fields(TrainConfig)}
        default = args_type(**settings, experiment=name, defaults=config)
        args = parse(args_type, flags, default, description)
        if args.experiment != name:
            raise InputError(f"unexpected argument {args.experiment!r} after the experiment {name} (see --help)")
        return main(args)

    return guarded(body)
