import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from codex_jax import cli, corpus
from codex_jax.corpus_build import phases, token_savings
from codex_jax.records.dataset import open_dataset
from codex_jax.text.tokenizers import load_tokenizer
from tests.corpus_build.sources import write_lines, write_repositories

FLAGS = ["--tokenizer", "p50k", "--seq-len", "64", "--shards", "3"]


def build(sources, out, *flags):
    return cli.run(corpus.main, corpus.Args, [*sources, "--out", str(out), *FLAGS, *flags])


def manifest(out, version="1.0.0"):
    return json.loads((out / version / "manifest.json").read_text())


def documents(out, split="train"):
    data = open_dataset(out)
    return sorted(token_savings.texts(data, split, load_tokenizer(str(data.tokenizer_dir))))


def test_copies_are_dropped_and_all_else_is_kept(tmp_path):
    source = write_repositories(tmp_path / "src")
    assert build([f"dir:{source}"], tmp_path / "d") == 0
    built = manifest(tmp_path / "d")
    expected = {"auto_generated": 1, "not_decodable": 1, "duplicate": 6, "near_duplicate": 6}
    assert built["dropped"] == expected
    found = [text for split in built["splits"] for text in documents(tmp_path / "d", split)]
    files = {path.read_text() for path in source.glob("r*/m*.py")}
    # Of a file and its copies the one with the smallest key is kept.
    assert len(found) == len(files) == sum(split["documents"] for split in built["splits"].values())
    squeezed = {"".join(text.split()).removesuffix("last=1") for text in files}
    assert {"".join(text.split()).removesuffix("last=1") for text in found} == squeezed
    assert not (tmp_path / "d" / "1.0.0" / "work").exists()


def test_the_digest_does_not_depend_on_workers_or_the_order_of_sources(tmp_path):
    one, other = write_lines(tmp_path / "a.jsonl"), write_lines(tmp_path / "b.jsonl", seed=1)
    assert build([f"jsonl:{one}", f"jsonl:{other}"], tmp_path / "x" / "d", "--workers", "1") == 0
    assert build([f"jsonl:{other}", f"jsonl:{one}"], tmp_path / "y" / "d", "--workers", "3") == 0
    assert manifest(tmp_path / "x" / "d")["digest"] == manifest(tmp_path / "y" / "d")["digest"]


def test_the_digest_does_not_depend_on_the_size_of_tasks(tmp_path, monkeypatch):
    source = f"dir:{write_repositories(tmp_path / 'src')}"
    assert build([source], tmp_path / "x" / "d") == 0
    monkeypatch.setattr(phases, "CHUNK_BYTES", 3000)
    monkeypatch.setattr(phases, "COMPARISONS_PER_TASK", 2)
    assert build([source], tmp_path / "y" / "d") == 0
    assert manifest(tmp_path / "x" / "d") == manifest(tmp_path / "y" / "d")
    assert manifest(tmp_path / "x" / "d")["dropped"]["near_duplicate"] == 6


def test_splits_are_recorded_and_stable_when_the_corpus_grows(tmp_path):
    sources = [f"jsonl:{write_lines(tmp_path / f'{name}.jsonl', 200, seed, 100)}" for seed, name in enumerate("abc")]
    assert build(sources[:2], tmp_path / "d") == 0
    assert build(sources, tmp_path / "d", "--version", "1.1.0") == 0
    old, new = (manifest(tmp_path / "d", version) for version in ("1.0.0", "1.1.0"))
    for split in ("test", "validation"):
        before, after = (set(one["boundaries"]["repositories"][split]) for one in (old, new))
        assert before
        assert before <= after
        assert all(repo.startswith("c/") for repo in after - before)
        share = old["splits"][split]["tokens"] / sum(entry["tokens"] for entry in old["splits"].values())
        assert 0.04 < share < 0.06


def test_weights_repeat_and_thin_out_training_documents_only(tmp_path):
    sources = [f"jsonl:{write_lines(tmp_path / f'{name}.jsonl', 200, seed, 50)}" for seed, name in enumerate("ab")]
    assert build(sources, tmp_path / "once") == 0
    assert build(sources, tmp_path / "mixed", "--weights", "0.5", "2") == 0
    once, mixed = (documents(tmp_path / name) for name in ("once", "mixed"))
    second = {json.loads(line)["content"] for line in (tmp_path / "b.jsonl").read_text().splitlines()}
    of_second = [text for text in once if text in second]
    assert sorted(text for text in mixed if text in second) == sorted(2 * of_second)
    first = [text for text in once if text not in second]
    thinned = [text for text in mixed if text not in second]
    assert set(thinned) < set(first)
    assert len(thinned) == len(set(thinned))
    assert 0.3 < len(thinned) / len(first) < 0.7
    for split in ("test", "validation"):
        assert documents(tmp_path / "mixed", split) == documents(tmp_path / "once", split)


def test_documents_that_contain_a_benchmark_problem_are_dropped_and_listed(tmp_path):
    from codex_jax.problems.load import load_problems

    source = write_repositories(tmp_path / "src", 6)
    problem = load_problems("humaneval").problems["HumanEval/0"]
    (source / "r1" / "leak.py").write_text("import os\n\n" + problem.prompt + problem.canonical_solution)
    assert build([f"dir:{source}"], tmp_path / "d") == 0
    assert manifest(tmp_path / "d")["dropped"]["contaminated"] == 1
    (row,) = map(json.loads, (tmp_path / "d" / "1.0.0" / "contaminated.jsonl").read_text().splitlines())
    assert row == {"document": "r1/leak.py", "problem": problem.task_id}
    assert build([f"dir:{source}"], tmp_path / "open", "--protect", "none") == 0
    assert "contaminated" not in manifest(tmp_path / "open")["dropped"]


def test_the_number_of_shards_follows_from_their_size(tmp_path):
    source = f"jsonl:{write_lines(tmp_path / 'a.jsonl', 100)}"
    args = [source, "--out", str(tmp_path / "d"), "--tokenizer", "p50k", "--seq-len", "64", "--shard-bytes", "20000"]
    assert cli.run(corpus.main, corpus.Args, args) == 0
    train = manifest(tmp_path / "d")["splits"]["train"]
    assert len(train["shards"]) == -(-2 * train["tokens"] // 20_000)
    assert max(train["shards"]) * 128 < 1.5 * 20_000


def command(sources, out):
    return [sys.executable, "-m", "codex_jax.corpus", *sources, "--out", str(out), *FLAGS, "--workers", "2"]


def kill_when(sources, out, when):
    """Starts a build and kills it as soon as when(unfinished folder) is true."""
    process = subprocess.Popen(
        command(sources, out), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
    )
    staging = out / ".1.0.0.incomplete"
    while not when(staging):
        assert process.poll() is None, "the build ended before it could be killed"
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert staging.is_dir()
    assert not (out / "1.0.0").exists()
    return staging


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["work/read-*.json", "work/tokens-*.json", "d-train*"])
def test_a_killed_build_resumes_and_ends_with_the_same_digest(tmp_path, stage):
    sources = [f"jsonl:{write_lines(tmp_path / f'{n}.jsonl', 150, n)}" for n in range(6)]
    assert build(sources, tmp_path / "whole" / "d") == 0
    staging = kill_when(sources, tmp_path / "d", lambda folder: any(folder.glob(stage)))
    assert any(staging.glob("work/read-*.json"))
    for shard in list(staging.glob("d-train*-of-00003"))[:1]:
        shard.unlink()  # its marker is still there
    (staging / "features.json.5d41402a.tmp").write_text("left by the kill")
    process = subprocess.run(command(sources, tmp_path / "d"), check=True, capture_output=True, text=True)
    assert manifest(tmp_path / "d")["digest"] == manifest(tmp_path / "whole" / "d")["digest"]
    assert manifest(tmp_path / "d")["digest"] in process.stdout
    names = {path.name for path in (tmp_path / "whole" / "d" / "1.0.0").iterdir()}
    assert {path.name for path in (tmp_path / "d" / "1.0.0").iterdir()} == names


def test_finished_parts_are_not_read_again_after_a_kill(tmp_path):
    sources = [f"jsonl:{write_lines(tmp_path / f'{n}.jsonl', 150, n)}" for n in range(6)]
    staging = kill_when(sources, tmp_path / "d", lambda folder: any(folder.glob("work/tokens-*.json")))
    before = {path.name: path.stat().st_ino for path in staging.glob("work/read-*.texts")}
    assert len(before) == 6
    process = subprocess.Popen(command(sources, tmp_path / "d"), stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while process.poll() is None and staging.is_dir():
        now = {path.name: path.stat().st_ino for path in staging.glob("work/read-*.texts") if path.exists()}
        assert set(now.items()) <= set(before.items())
        time.sleep(0.02)
    assert process.wait() == 0


def test_an_interrupt_prints_one_line_and_the_build_resumes(tmp_path):
    sources = [f"jsonl:{write_lines(tmp_path / f'{n}.jsonl', 150, n)}" for n in range(6)]
    pipes = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command(sources, tmp_path / "d"), start_new_session=True, **pipes) as process:
        while not any((tmp_path / "d").glob(".*/work/read-*.json")):
            time.sleep(0.005)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate()
    # The main process sees either its own interrupt or the end of its workers first.
    assert process.returncode in (130, 2)
    assert "Traceback" not in errors
    assert build(sources, tmp_path / "d") == 0


def test_a_build_with_other_settings_may_follow_a_killed_one(tmp_path):
    sources = [f"jsonl:{write_lines(tmp_path / f'{n}.jsonl', 150, n)}" for n in range(3)]
    other = ["--shards", "2", "--seq-len", "40", "--tokenizer", "p50k"]
    assert build(sources, tmp_path / "whole" / "d", *other) == 0
    kill_when(sources, tmp_path / "d", lambda folder: any(folder.glob("d-train*3")))
    assert build(sources, tmp_path / "d", *other) == 0
    names = {path.name for path in (tmp_path / "whole" / "d" / "1.0.0").iterdir()}
    assert {path.name for path in (tmp_path / "d" / "1.0.0").iterdir()} == names
    assert manifest(tmp_path / "d")["digest"] == manifest(tmp_path / "whole" / "d")["digest"]
    assert open_dataset(tmp_path / "d").manifest["seq_len"] == 40


@pytest.mark.slow
def test_a_build_resumes_after_a_full_disk(tmp_path):
    sources = [f"jsonl:{write_lines(tmp_path / f'{n}.jsonl', 150, n)}" for n in range(3)]
    assert build(sources, tmp_path / "whole" / "d") == 0
    size = max(path.stat().st_size for path in (tmp_path / "whole" / "d" / "1.0.0").glob("d-train*"))

    def small_files():
        # Writes beyond this size fail like those to a full disk, in the workers too.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size // 2, size // 2))

    failed = subprocess.run(
        [sys.executable, "-c", LIMITED, *command(sources, tmp_path / "d")[3:]],
        check=False,
        capture_output=True,
        text=True,
        preexec_fn=small_files,
    )
    assert failed.returncode == 2, failed.stderr
    assert "same command again" in failed.stderr.splitlines()[-1]
    assert "Traceback" not in failed.stderr
    staging = tmp_path / "d" / ".1.0.0.incomplete"
    assert not list(staging.rglob("*.tmp"))
    subprocess.run(command(sources, tmp_path / "d"), check=True, capture_output=True)
    assert manifest(tmp_path / "d")["digest"] == manifest(tmp_path / "whole" / "d")["digest"]


# Runs the command as -m would.
LIMITED = "import runpy, sys; sys.argv[0] = 'corpus'; runpy.run_module('codex_jax.corpus', run_name='__main__')"


def test_bad_input(tmp_path, capsys):
    source = [f"jsonl:{write_lines(tmp_path / 'a.jsonl')}"]

    def refused(message, *args, sources=source):
        assert build(sources, tmp_path / "d", *args) == 2
        lines = capsys.readouterr().err.strip().splitlines()
        assert message in lines[-1], lines
        assert lines[-1].startswith("error: ")
        assert not (tmp_path / "d").exists()

    refused("--weights", "--weights", "1", "2")
    refused("--weights", "--weights", "-1")
    refused("no problems file nonsense", "--protect", "nonsense")
    refused("--version", "--version", "one")
    refused("--seq-len", "--seq-len", "0")
    refused("--tokenizer train:", "--tokenizer", "train:x")
    refused("unknown source", sources=["nonsense:1"])
    refused("no usable file", "--licenses", "permissive")
    (tmp_path / "problems.jsonl").write_text(
        json.dumps({"task_id": "a", "prompt": "def f():", "canonical_solution": "    return 1\n"}) + "\n"
    )
    refused("cannot be mixed", sources=[*source, f"problems:{tmp_path / 'problems.jsonl'}"])
    refused("no problem fits", "--seq-len", "4", sources=[f"problems:{tmp_path / 'problems.jsonl'}"])
    assert build(source, tmp_path / "d") == 0
    assert build(source, tmp_path / "d") == 2
    assert "exists already" in capsys.readouterr().err
    assert build(source, tmp_path / "d" / "1.0.0") == 2
    assert cli.run(corpus.main, corpus.Args, [*source, "--out", "gs://bucket/d", *FLAGS]) == 2
    assert "--beam" in capsys.readouterr().err


def test_a_damaged_file_does_not_discard_finished_parts(tmp_path, capsys):
    good = write_lines(tmp_path / "a.jsonl", 200)
    whole = __import__("gzip").compress(write_lines(tmp_path / "b.jsonl", 200, 1).read_bytes())
    damaged = tmp_path / "z.jsonl.gz"
    damaged.write_bytes(whole[: len(whole) // 2])
    sources = [f"jsonl:{good}", f"jsonl:{damaged}"]
    assert build(sources, tmp_path / "d", "--workers", "1") == 2
    assert "z.jsonl.gz" in capsys.readouterr().err
    assert (tmp_path / "d" / ".1.0.0.incomplete" / "work" / "read-00000.json").is_file()
    damaged.write_bytes(whole)
    assert build(sources, tmp_path / "d") == 0
    assert sum(split["documents"] for split in manifest(tmp_path / "d")["splits"].values()) == 400


def test_malformed_documents_are_counted(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", 30)
    with path.open("a") as file:
        file.write('{"content": null}\n{"content": 3}\n{broken\n[]\n{"content": "  "}\n{"content": "\\ud800"}\n')
    assert build([f"jsonl:{path}"], tmp_path / "d") == 0
    dropped = manifest(tmp_path / "d")["dropped"]
    assert dropped == {"empty": 1, "malformed_line": 2, "missing_text": 2, "not_decodable": 1}


@pytest.mark.slow
def test_stats_show_the_savings_by_runs_of_spaces(tmp_path, capsys):
    source = Path(corpus.__file__).parent  # real code: random identifiers would teach a tokenizer little
    assert build([f"dir:{source}"], tmp_path / "d") == 0
    capsys.readouterr()
    assert cli.run(token_savings.main, token_savings.Args, [str(tmp_path / "d"), "--vocab", "700"]) == 0
    rows = [line for line in capsys.readouterr().out.splitlines() if "%" in line]
    assert len(rows) == 2
    for row in rows:
        without, given, fewer = (float(cell.strip("% ")) for cell in row.strip("│ ").split("│")[1:])
        assert given < without
        assert fewer == pytest.approx(100 * (1 - given / without), abs=0.6)
    tokens = sum(len(load_tokenizer("p50k").encode(text)) for text in documents(tmp_path / "d"))
    assert tokens == manifest(tmp_path / "d")["splits"]["train"]["tokens"] - len(documents(tmp_path / "d"))
    assert cli.run(token_savings.main, token_savings.Args, [str(tmp_path / "none")]) == 2
    assert np.isfinite(given)
