import contextlib
import errno
import os
import re
import resource
import subprocess
import sys

import pytest

from codex_jax import cli, failure
from codex_jax.errors import InputError


class SilentError(Exception):
    """str() of it fails."""

    def __str__(self):
        raise RuntimeError("no text")


def run(error, tmp_path, monkeypatch, capsys):
    """(exit code, the line on stderr, the traceback files) of a command that raises this error."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def body():
        raise error

    code = cli.guarded(body)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return code, err, list(tmp_path.glob("codex_jax-error-*.txt"))


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (InputError("no \x1b]0;t\x07\nfile"), 2, "error: no \\x1b]0;t\\x07 file\n"),
        (InputError("x" * 100_000), 2, "error: x"),
        (KeyboardInterrupt(), 130, "interrupted\n"),
        (FileNotFoundError(errno.ENOENT, "No such file", "a\udcff[/x]"), 2, "error: a\\udcff[/x]: No such file\n"),
        (OSError(errno.ENOSPC, "No space left on device"), 2, "error: cannot write: No space left on device\n"),
        (PermissionError(errno.EACCES, "Permission denied", 3), 2, "error: PermissionError: Permission denied\n"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", b"\xff"), 2, "error: \\udcff: Is a directory\n"),
    ],
)
def test_what_the_user_can_mend_is_one_line(tmp_path, monkeypatch, capsys, error, code, line):
    got, err, files = run(error, tmp_path, monkeypatch, capsys)
    assert (got, files) == (code, [])
    assert err.startswith(line)
    assert len(err) < 5000


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad\nvalue \x1b[2J"),
        AssertionError(),
        MemoryError(),
        RecursionError("too deep"),
        SilentError(),
        OSError("of a library, without a number"),
        UnicodeEncodeError("ascii", "é\udcff", 0, 1, "not ASCII"),
        ExceptionGroup("several", [ValueError("one"), TypeError("two")]),
    ],
)
def test_what_nobody_foresaw_goes_to_a_file(tmp_path, monkeypatch, capsys, error):
    code, err, (file,) = run(error, tmp_path, monkeypatch, capsys)
    assert code == 70
    assert err.startswith(f"internal error: {type(error).__name__}")
    assert err.rstrip().endswith(f"please report it with the file {file}")
    assert "\x1b" not in err
    text = file.read_text()
    assert "Traceback (most recent call last)" in text
    assert type(error).__name__ in text
    assert file.stat().st_mode & 0o077 == 0


def test_without_a_place_for_the_file_there_is_still_a_line(tmp_path, monkeypatch, capsys):
    def refuse(*args):
        raise OSError("read-only")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    code, err, files = run(ValueError("bad"), tmp_path, monkeypatch, capsys)
    assert (code, files) == (70, [])
    assert err == "internal error: ValueError: bad: no file could be written about it\n"


def command(tmp_path, *words, redirect="", before=None, **variables):
    """Runs a shell line of `python -m codex_jax.WORDS`; returns (exit code, stdout, stderr)."""
    quoted = " ".join(words)
    line = f"{sys.executable} -m codex_jax.{quoted} {redirect}"
    environment = {**os.environ, "TMPDIR": str(tmp_path), **variables}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, check=False, cwd=tmp_path, env=environment, preexec_fn=before
    )
    assert b"Traceback" not in done.stderr
    assert b"Exception ignored" not in done.stderr
    assert not list(tmp_path.glob("codex_jax-error-*"))
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def samples(tmp_path):
    problem = (
        '{"task_id": "\\u6c49/\\u00e9", "prompt": "def f(x):\\n", "entry_point": "f", "canonical_solution": '
        '"    return x\\n", "test": "def check(f):\\n    assert f(1) == 1\\n"}\n'
    )
    (tmp_path / "p.jsonl").write_text(problem)
    (tmp_path / "s.jsonl").write_text('{"task_id": "\\u6c49/\\u00e9", "completion": "    return x\\n"}\n')
    with open(os.fsencode(tmp_path) + b"/s\xff.jsonl", "wb") as file:
        file.write((tmp_path / "s.jsonl").read_bytes())
    return tmp_path


SCORE = ("score", "s.jsonl", "--problems", "p.jsonl", "--k", "1", "--per-problem")


@pytest.mark.parametrize(
    ("redirect", "code", "err"),
    [
        ("> /dev/full", 2, b"error: cannot write: No space left on device"),
        (">&-", 0, b""),
        ("2>&-", 0, b""),
        ("2> /dev/full", 0, b""),
        ("> /dev/full 2> /dev/full", 2, b""),
        (">&- 2>&- <&-", 0, b""),
        ("| true; exit ${PIPESTATUS[0]}", 0, b""),
    ],
)
def test_streams_that_cannot_be_written(samples, redirect, code, err):
    got, _, said = command(samples, *SCORE, redirect=redirect)
    assert got == code
    assert err in said
    assert b'"passed": true' in (samples / "s.jsonl_results.jsonl").read_bytes()


@pytest.mark.parametrize(
    "variables",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "utf-8:strict"},
        {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_text_and_names_that_a_terminal_cannot_show(samples, variables):
    name = os.fsdecode(b"s\xff.jsonl")
    code, out, _ = command(samples, SCORE[0], f"'{name}'", *SCORE[2:], **variables)
    assert code == 0
    assert b"s\\udcff.jsonl" in out
    code, out, _ = command(samples, "report", f"'{name}_results.jsonl'", "--out", "rep", **variables)
    assert code == 0
    assert "s\\\\udcff" in (samples / "rep" / "report.md").read_text()
    code, _, err = command(samples, SCORE[0], f"'{name}x'", *SCORE[2:], **variables)
    assert code == 2
    assert err.startswith(b"error: no samples file s\\udcff.jsonlx: ")


def test_a_full_device_for_the_results(samples):
    def small_files():
        resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))

    code, _, err = command(samples, *SCORE, before=small_files)
    assert code == 2
    assert re.fullmatch(rb"error: cannot write s.jsonl_results.jsonl.partial: .*\n", err)


def test_an_error_while_a_command_is_imported(tmp_path):
    code, _, err = command(tmp_path, "sample", "--run", "x", JAX_ENABLE_X64="maybe")
    assert code == 2
    assert (
        err == b"error: invalid truth value 'maybe' for environment 'JAX_ENABLE_X64': unset that environment variable\n"
    )


ODD = {
    "folder.jsonl": None,
    "empty.jsonl": b"",
    "blank.jsonl": b"\n \n",
    "binary.jsonl": bytes(range(256)) * 20,
    "nul.jsonl": bytes(5000),
    "deep.jsonl": b"[" * 100_000,
    "deep.json": b"[" * 100_000,
    "scalar.json": b"3",
    "list.json": b'[{"task_id": []}, 3]',
    "object.jsonl": b'{"task_id": {"a": NaN}, "passed": true, "x": 1e999, "prompt": 3, "test_list": 3}\n',
    "pointer.jsonl": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "pointer.json": b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n",
    "not.jsonl.gz": b"x",
    "cut.jsonl.gz": b"\x1f\x8b\x08\x00",
    "markup[red].jsonl": b"{\n",
    "title\x1b]0;t\x07.jsonl": b"{\n",
}


@pytest.fixture
def odd(samples):
    for name, data in ODD.items():
        if data is None:
            (samples / name).mkdir()
        else:
            (samples / name).write_bytes(data)
    (samples / "loop.jsonl").symlink_to("loop.jsonl")
    (samples / "dangling.jsonl").symlink_to("nowhere")
    os.mkfifo(samples / "pipe.jsonl")
    return samples


WORDS = (
    ("score", "score", "Args", ("ODD", "--problems", "p.jsonl")),
    ("score", "score", "Args", ("s.jsonl", "--problems", "ODD")),
    ("score", "score", "Args", ("s.jsonl", "--problems", "mbpp:ODD")),
    ("score", "score", "Args", ("s.jsonl", "--problems", "apps:ODD")),
    ("score", "score", "Args", ("s.jsonl", "--problems", "p.jsonl", "--out", "ODD")),
    ("report", "report", "Args", ("ODD", "--out", "rep")),
    ("report", "report", "Args", ("x=s.jsonl", "--seconds", "ODD", "--out", "rep")),
    ("sample", "sample", "Args", ("--run", "ODD", "--prompt", "x")),
    ("sample", "sample", "Args", ("--run", "none", "--problems", "ODD", "--out", "o.jsonl")),
    ("serve", "serve", "Args", ("--run", "ODD", "--port", "0")),
    ("corpus", "corpus", "Args", ("dir:ODD", "--out", "data", "--tokenizer", "p50k")),
    ("corpus", "corpus", "Args", ("jsonl:none", "--out", "data", "--tokenizer", "ODD")),
    ("corpus", "corpus", "Args", ("jsonl:none", "--out", "ODD", "--tokenizer", "p50k")),
    ("train", "train", "TrainArgs", ("ODD",)),
)


@pytest.mark.parametrize(("module", "name", "args", "words"), WORDS)
def test_every_command_takes_odd_files_for_bad_input(odd, monkeypatch, capsys, module, name, args, words):
    monkeypatch.chdir(odd)
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    loaded = __import__(f"codex_jax.{module}", fromlist=[name])
    runner = cli.run_experiment if module == "train" else cli.run
    reads = words[:1] == ("ODD",) or words[1] == "x=s.jsonl"
    names = [*ODD, "loop.jsonl", "dangling.jsonl", "missing.jsonl", "x" * 300, "/dev/null", "~", "[/x]", "a\nb", ":"]
    names += [] if module == "report" and reads else ["pipe.jsonl", "/dev/full"]  # a report may wait for a named pipe
    for odd_name in names:
        if "--out" in words and "ODD" in words and words[-1] == "ODD" and odd_name in ("dangling.jsonl", "loop.jsonl"):
            continue  # a link is replaced
        with contextlib.suppress(FileNotFoundError):
            (odd / "s.jsonl_results.jsonl").unlink()
        code = runner(loaded.main, getattr(loaded, args), [word.replace("ODD", odd_name) for word in words])
        err = capsys.readouterr().err
        if "--out" in words and words[-1] == "ODD" and code == 0:
            assert odd_name in ("missing.jsonl", "[/x]", "a\nb", "~", ":")
            continue
        assert code == 2, (odd_name, err)
        lines = err.splitlines()
        assert lines[-1].startswith("error: ")
        assert sum(line.startswith("error: ") for line in lines) == 1
        assert not {"\x1b", "\x07"} & set(err)
    assert not list(odd.glob("codex_jax-error-*"))


def test_the_hook_of_a_command_ends_with_its_code():
    code = "import sys; from codex_jax import failure; sys.excepthook = failure.hook; raise {}"
    for raised, expected in (("KeyboardInterrupt", 130), ("OSError(28, 'No space')", 2)):
        done = subprocess.run([sys.executable, "-c", code.format(raised)], capture_output=True, check=False)
        assert done.returncode == expected
        assert done.stderr.count(b"\n") == 1


def test_other_programs_keep_their_hooks():
    code = "import sys, threading, codex_jax; print(sys.excepthook is sys.__excepthook__, threading.excepthook)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("True <built-in")
    assert failure.hook is not sys.excepthook
