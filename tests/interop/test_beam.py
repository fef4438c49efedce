import filecmp
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from codex_jax import cli, corpus
from codex_jax.corpus_build.tasks import run_task
from codex_jax.problems.building_blocks import heldout_problems
from codex_jax.problems.humaneval import write_problems
from codex_jax.problems.load import load_problems
from codex_jax.storage import paths
from tests.corpus_build.sources import write_lines, write_repositories
from tests.sources.store import served, use_store

FLAGS = ["--tokenizer", "p50k", "--seq-len", "64", "--shards", "3"]


def build(sources, out, *flags):
    args = [*sources, "--out", str(out), "--seq-len", "96", "--shards", "3", *flags]
    return cli.run(corpus.main, corpus.Args, args)


def same_folders(one, other):
    compared = filecmp.dircmp(one, other)
    assert not compared.left_only + compared.right_only
    for name in compared.common_files:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name
    for name in compared.common_dirs:
        same_folders(one / name, other / name)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    problem = load_problems("humaneval").problems["HumanEval/0"]
    repositories = write_repositories(folder / "src")
    (repositories / "r1" / "leak.py").write_text("import os\n\n" + problem.prompt + problem.canonical_solution)
    lines = write_lines(folder / "lines.jsonl", 60)
    with lines.open("a") as file:
        file.write("{broken\n")
    return [f"dir:{repositories}", f"jsonl:{lines}"]


@pytest.mark.parametrize("flags", [["--tokenizer", "p50k"], ["--tokenizer", "train:330"]])
def test_beam_builds_the_same_files(sources, tmp_path, flags):
    flags = [*flags, "--weights", "1", "1.5"]
    assert build(sources, tmp_path / "local" / "d", *flags) == 0
    assert build(sources, tmp_path / "beam" / "d", *flags, "--beam", "DirectRunner") == 0
    made = json.loads((tmp_path / "beam" / "d" / "1.0.0" / "manifest.json").read_text())
    assert made["dropped"] == {
        "auto_generated": 1,
        "contaminated": 1,
        "duplicate": 6,
        "malformed_line": 1,
        "near_duplicate": 6,
        "not_decodable": 1,
    }
    same_folders(tmp_path / "local" / "d" / "1.0.0", tmp_path / "beam" / "d" / "1.0.0")


def test_problems_and_a_second_version(tmp_path):
    problems = heldout_problems()
    sources = []
    for number in range(2):
        path = tmp_path / f"problems{number}.jsonl"
        write_problems(path, problems[number * 10 : number * 10 + 15])
        sources.append(f"problems:{path}")
    flags = ["--tokenizer", "p50k", "--seq-len", "150"]
    for place, engine in (("local", []), ("beam", ["--beam", "DirectRunner"])):
        assert build(sources[:1], tmp_path / place / "d", *flags, *engine) == 0
        assert build(sources, tmp_path / place / "d", *flags, "--version", "1.1.0", *engine) == 0
    made = json.loads((tmp_path / "beam" / "d" / "1.1.0" / "manifest.json").read_text())
    assert made["dropped"]["duplicate"] == 5
    same_folders(tmp_path / "local" / "d", tmp_path / "beam" / "d")


PHASES = ("work/read-*.json", "work/compare-*.json", "work/tokens-*.json", "d-train*-of-00003")
BEAM = ("--beam", "DirectRunner")


def command(sources, out, *flags):
    return [sys.executable, "-m", "codex_jax.corpus", *sources, "--out", str(out), *FLAGS, *flags]


def kill_during(phase, sources, out, *flags):
    """Starts a build and kills it as soon as the phase has finished a task; returns the unfinished folder."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command(sources, out, *flags), start_new_session=True, **quiet) as process:
        folder = out / ".1.0.0.incomplete"
        while not any(folder.glob(phase)):
            assert process.poll() is None, "the build ended before it could be killed"
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    assert folder.is_dir()
    assert not (out / "1.0.0").exists()
    return folder


@pytest.fixture(scope="module")
def lines(tmp_path_factory):
    """(sources with near copies, the manifest of a build that nothing interrupts)."""
    folder = tmp_path_factory.mktemp("lines")
    files = [write_lines(folder / f"{number}.jsonl", 150, number) for number in range(6)]
    for file in files:
        text = file.read_text()
        file.write_text(text + text.replace("return", "return 1 +", 1).replace("_0(x)", "_00(x)"))
    sources = [f"jsonl:{file}" for file in files]
    assert cli.run(corpus.main, corpus.Args, [*sources, "--out", str(folder / "d"), *FLAGS]) == 0
    return sources, json.loads((folder / "d" / "1.0.0" / "manifest.json").read_text())


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize(("first", "second"), [((), BEAM), (BEAM, ())], ids=["local-beam", "beam-local"])
def test_a_killed_build_goes_on_with_the_other_executor(lines, tmp_path, phase, first, second):
    sources = []
    for source in lines[0]:
        copy = tmp_path / Path(source).name
        shutil.copy(source.removeprefix("jsonl:"), copy)
        sources.append(f"jsonl:{copy}")
    folder = kill_during(phase, sources, tmp_path / "d", *first)
    if phase != PHASES[0]:
        # The same size and the same time, but unreadable: a resumed build must not read a finished part again.
        assert len(list(folder.glob("work/read-*.json"))) == len(sources)
        for source in sources:
            path = Path(source.removeprefix("jsonl:"))
            path.write_bytes(b"{" * path.stat().st_size)
    subprocess.run(command(sources, tmp_path / "d", *second), check=True, capture_output=True)
    manifest = json.loads((tmp_path / "d" / "1.0.0" / "manifest.json").read_text())
    assert {**manifest, "sources": [], "settings": {}} == {**lines[1], "sources": [], "settings": {}}
    assert not (tmp_path / "d" / "1.0.0" / "work").exists()


@pytest.mark.parametrize("scheme", ["file", "s3", "gs"])
def test_shared_storage(sources, tmp_path, monkeypatch, capsys, scheme):
    flags = ["--seq-len", "96", "--shards", "3", "--tokenizer", "train:330"]
    assert cli.run(corpus.main, corpus.Args, [*sources, "--out", str(tmp_path / "local" / "d"), *flags]) == 0
    (tmp_path / "bucket").mkdir()
    with served(tmp_path) as address:
        use_store(monkeypatch, address)
        paths.connect.cache_clear()
        buckets = {"file": f"file://{tmp_path}/bucket", "s3": "s3://bucket", "gs": "gs://anonymous@bucket"}
        args = [*sources, "--out", f"{buckets[scheme]}/remote/d", *flags]
        assert cli.run(corpus.main, corpus.Args, args) == 2
        assert "--beam" in capsys.readouterr().err
        assert cli.run(corpus.main, corpus.Args, [*args, *BEAM]) == 0
        same_folders(tmp_path / "local" / "d" / "1.0.0", tmp_path / "bucket" / "remote" / "d" / "1.0.0")
        assert cli.run(corpus.main, corpus.Args, [*args, *BEAM]) == 2
        assert "exists already" in capsys.readouterr().err
    paths.connect.cache_clear()


def test_a_killed_build_on_shared_storage_goes_on(lines, tmp_path):
    folder = tmp_path / "d" / "1.0.0"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    args = command(lines[0], f"file://{tmp_path}/d", *BEAM)
    with subprocess.Popen(args, start_new_session=True, **quiet) as process:
        while not any(folder.glob("work/tokens-*.json")):
            assert process.poll() is None
            time.sleep(0.002)
        os.killpg(process.pid, signal.SIGKILL)
    read = {path.name: path.stat().st_ino for path in folder.glob("work/read-*.texts")}
    assert len(read) == 6
    with subprocess.Popen(args, start_new_session=True, **quiet) as process:
        while not any(folder.glob("d-train*-of-00003")):
            assert process.poll() is None
            time.sleep(0.002)
        assert {path.name: path.stat().st_ino for path in folder.glob("work/read-*.texts")} == read
        assert process.wait() == 0
    assert json.loads((folder / "manifest.json").read_text())["digest"] == lines[1]["digest"]


def test_a_failed_pipeline_keeps_what_is_finished(sources, tmp_path, monkeypatch, capsys):
    from codex_jax.corpus_build import beam_executor

    def fail_to_tokenize(work, task):
        if task.name.startswith("tokens"):
            raise RuntimeError("no space")
        return run_task(work, task)

    with monkeypatch.context() as patched:
        patched.setattr(beam_executor, "run_task", fail_to_tokenize)
        assert build(sources, tmp_path / "d", "--tokenizer", "p50k", *BEAM) == 2
    message = capsys.readouterr().err.strip().splitlines()[-1]
    assert "no space" in message
    assert "finished work is kept" in message
    assert any((tmp_path / "d").glob(".*/work/read-*.json"))
    assert build(sources, tmp_path / "d", "--tokenizer", "p50k") == 0


def test_beam_is_imported_only_when_it_is_asked_for(sources, tmp_path):
    code = f"""
import sys
from codex_jax import cli, corpus
assert cli.run(corpus.main, corpus.Args, {[sources[1], "--out", str(tmp_path / "d"), *FLAGS]!r}) == 0
print("apache_beam" in sys.modules, "tensorflow" in sys.modules)
"""
    script = tmp_path / "script.py"
    script.write_text("if __name__ == '__main__':\n" + "".join(f"    {line}\n" for line in code.strip().splitlines()))
    done = subprocess.run([sys.executable, str(script)], check=True, capture_output=True, text=True)
    assert done.stdout.splitlines()[-1].startswith("False")


def test_bad_input_is_one_line(sources, tmp_path, capsys):
    assert build(sources, tmp_path / "d", "--tokenizer", "train:60000", "--beam", "DirectRunner") == 2
    assert "vocabulary of 60000" in capsys.readouterr().err.strip().splitlines()[-1]
    assert build(["jsonl:none.jsonl"], tmp_path / "d", "--tokenizer", "p50k", "--beam", "DirectRunner") == 2
    assert "none.jsonl" in capsys.readouterr().err.strip().splitlines()[-1]
    empty = tmp_path / "empty.jsonl"
    empty.write_text('{"content": " "}\n')
    assert build([f"jsonl:{empty}"], tmp_path / "d", "--tokenizer", "p50k", "--beam", "DirectRunner") == 2
    assert "no usable file" in capsys.readouterr().err.strip().splitlines()[-1]
    assert not (tmp_path / "d").exists()
