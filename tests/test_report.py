import json
import subprocess
import sys

import pytest

from codex_jax import cli
from codex_jax.report import Args, main
from codex_jax.scoring.pass_at_k import pass_at_k


def rows(task_id, verdicts, logps, blocks=None):
    extra = {} if blocks is None else {"blocks": blocks}
    return [
        {"task_id": task_id, "completion": "", "passed": passed, "mean_logp": logp, "sum_logp": 10 * logp, **extra}
        for passed, logp in zip(verdicts, logps, strict=True)
    ]


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture
def folder(tmp_path):
    base = rows("p/1", [False] * 10, [-1.0] * 10, 1) + rows("p/2", [False] * 10, [-1.0] * 10, 2)
    tuned = rows("p/1", [True] * 5 + [False] * 5, [-0.1] + [-1.0] * 9, 1)
    tuned += rows("p/2", [True] + [False] * 9, [-2.0] + [-1.0] * 9, 2)
    write(tmp_path / "base.jsonl_results.jsonl", base)
    write(tmp_path / "tuned.jsonl_results.jsonl", tuned)
    run = tmp_path / "run"
    run.mkdir()
    steps = [{"step": 0, "bits_per_byte": 8.0}, {"step": 10, "loss": 3.0}, {"step": 20, "bits_per_byte": 2.5}]
    write(run / "metrics.jsonl", steps)
    (tmp_path / "seconds.json").write_text('{"corpus": 1.5}')
    return tmp_path


def report(folder, *extra):
    inputs = [f"base={folder}/base.jsonl_results.jsonl", f"supervised={folder}/tuned.jsonl_results.jsonl"]
    return cli.run(main, Args, [*inputs, str(folder / "run"), "--out", str(folder / "out"), *extra])


def test_values_by_hand(folder):
    assert report(folder, "--seconds", str(folder / "seconds.json")) == 0
    results = json.loads((folder / "out/results.json").read_text())
    assert results["base"]["pass@1"] == 0
    tuned = results["supervised"]
    assert tuned["pass@1"] == pytest.approx((5 / 10 + 1 / 10) / 2)
    assert tuned["pass@10"] == 1
    assert "pass@100" not in tuned  # only ten samples
    assert tuned["mean_logp"] == 0.5  # chooses a passing sample of p/1, a failing one of p/2
    assert tuned["oracle"] == 1
    assert tuned["by_blocks"] == {"1": 0.5, "2": pytest.approx(0.1)}
    assert results["bits_per_byte"] == {"before": 8.0, "after": 2.5}
    assert results["seconds"] == {"corpus": 1.5}


def test_pass_at_k_by_hand():
    assert pass_at_k(5, 2, 2) == pytest.approx(1 - 3 / 10)  # C(3, 2) / C(5, 2)
    assert pass_at_k(3, 2, 2) == 1
    assert pass_at_k(200, 0, 100) == 0


def test_files(folder):
    assert report(folder) == 0
    out = folder / "out"
    for name in ("headline", "rankings", "blocks"):
        assert (out / f"{name}.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
        assert "<svg" in (out / f"{name}.svg").read_text()
    text = (out / "report.md").read_text()
    assert "| supervised | 30.0% (10.0 to 50.0) | 100.0% (100.0 to 100.0) |" in text
    assert not list(out.glob("*.tmp"))


def test_report_of_results_json_alone(folder):
    assert report(folder) == 0
    first = (folder / "out/results.json").read_text()
    assert cli.run(main, Args, [str(folder / "out/results.json"), "--out", str(folder / "again")]) == 0
    assert (folder / "again/results.json").read_text() == first
    assert (folder / "again/blocks.svg").read_text() == (folder / "out/blocks.svg").read_text()


def test_blocks_come_from_the_problems_file(folder):
    results = write(folder / "plain.jsonl_results.jsonl", rows("p/1", [True], [-1.0]) + rows("p/2", [False], [-1.0]))
    problems = write(folder / "problems.jsonl", [{"task_id": "p/1", "blocks": 1}, {"task_id": "p/2", "blocks": 2}])
    assert cli.run(main, Args, [str(results), "--problems", str(problems), "--out", str(folder / "o")]) == 0
    results = json.loads((folder / "o/results.json").read_text())
    assert results["plain"]["by_blocks"] == {"1": 1.0, "2": 0.0}


@pytest.mark.parametrize(
    "text", ["", "not json\n", "[1]\n", '{"task_id": "p/1"}\n', '{"task_id": "p/1", "passed": "yes"}\n']
)
def test_bad_results(tmp_path, capsys, text):
    path = tmp_path / "bad_results.jsonl"
    path.write_text(text)
    assert cli.run(main, Args, [str(path), "--out", str(tmp_path / "out")]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "bad_results.jsonl" in err


@pytest.mark.parametrize("text", ["{", "[]", '{"base": 1}', '{"base": {"pass@1": "high"}}', "{}"])
def test_bad_results_json(tmp_path, capsys, text):
    (tmp_path / "results.json").write_text(text)
    assert cli.run(main, Args, [str(tmp_path / "results.json"), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_results_of_one_name_are_counted_together(tmp_path, capsys):
    marked = [{**row, "sample": 0} for row in rows("p/1", [True], [-1.0])]
    for name, mark in (("one", "aa"), ("two", "bb")):
        write(tmp_path / f"{name}.jsonl", [{**row, "passed": name == "one", "fingerprint": mark} for row in marked])
    one, two, out = f"{tmp_path}/one.jsonl", f"{tmp_path}/two.jsonl", ["--out", f"{tmp_path}/out"]
    assert cli.run(main, Args, [f"m={one}", f"m={two}", *out]) == 0
    results = json.loads((tmp_path / "out/results.json").read_text())
    assert (results["m"]["samples"], results["m"]["pass@1"]) == (2, 0.5)
    capsys.readouterr()
    assert cli.run(main, Args, [f"m={one}", f"m={one}", *out]) == 2
    assert "one.jsonl result 1: sample 0 of 'p/1' occurs twice" in capsys.readouterr().err
    assert cli.run(main, Args, [one, one, *out]) == 2
    assert "two inputs are called 'one'" in capsys.readouterr().err


def test_a_missing_file_and_no_input(tmp_path, capsys):
    assert cli.run(main, Args, [str(tmp_path / "none.jsonl"), "--out", str(tmp_path)]) == 2
    assert cli.run(main, Args, ["--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 2


def test_needs_no_jax():
    code = "import sys, codex_jax.report, codex_jax.reporting.figures; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_alone_gives_its_curves(folder):
    assert cli.run(main, Args, [str(folder / "run"), "--out", str(folder / "out")]) == 0
    assert (folder / "out" / "curves.png").stat().st_size > 1000
    assert "![curves](curves.png)" in (folder / "out" / "report.md").read_text()
