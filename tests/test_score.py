import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

from codex_jax import cli, score
from codex_jax.benchmarks.building_blocks import make_problem
from codex_jax.benchmarks.problem import load_problems, write_problems
from codex_jax.errors import InputError


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    problems = [make_problem(chain, rng) for chain in ((1,), (2,), (1, 2))]
    write_problems(tmp_path / "p.jsonl", problems)
    rows = []
    for n, problem in enumerate(problems):
        for sample in range(4):
            right = sample < n + 1
            rows.append(
                {
                    "task_id": problem.task_id,
                    "completion": problem.canonical_solution if right else "    return 0\n",
                    "mean_logp": -0.1 if right and n else -2.0 + sample,
                    "sum_logp": -5.0 if right else -1.0,
                }
            )
    return tmp_path, rows


def run(folder, rows, *flags, name="s.jsonl"):
    path = folder / name
    path.write_text("".join(row if isinstance(row, str) else json.dumps(row) + "\n" for row in rows))
    return cli.run(score.main, score.Args, [str(path), "--problems", str(folder / "p.jsonl"), *flags])


def test_values_are_those_computed_by_hand(files, capsys):
    folder, rows = files
    assert run(folder, rows, "--json", "--k", "1,2,100") == 0
    out, err = capsys.readouterr()
    values = json.loads(out)
    assert (values["problems"], values["samples"], values["passed"]) == (3, 12, 6)
    assert values["pass@1"] == pytest.approx((1 + 2 + 3) / 12)
    assert values["pass@2"] == pytest.approx(((1 - 3 / 6) + (1 - 1 / 6) + 1) / 3)
    assert "pass@100" not in values
    assert "pass@100 cannot be told" in err
    assert values["oracle"] == 1
    assert values["sum_logp"] == 0
    assert values["by_blocks"] == pytest.approx({"1": 3 / 8, "2": 3 / 4})
    written = [json.loads(line) for line in (folder / "s.jsonl_results.jsonl").read_text().splitlines()]
    assert [row["completion"] for row in written] == [row["completion"] for row in rows]
    assert [row["passed"] for row in written] == [row["completion"] != "    return 0\n" for row in rows]
    assert {"task_id", "completion", "result", "passed"} <= written[0].keys()


def test_humaneval_by_its_name(tmp_path, capsys):
    path = tmp_path / "s.jsonl.gz"
    rows = [{"task_id": p.task_id, "completion": p.canonical_solution} for p in load_problems("humaneval")]
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    args = [str(path), "--problems", "humaneval", "--json", "--timeout", "20"]
    assert cli.run(score.main, score.Args, args) == 0
    assert json.loads(capsys.readouterr().out)["pass@1"] == 1


def test_bad_input(files, capsys):
    folder, rows = files
    for bad, flags, message in (
        ([*rows, "{\n"], (), "line 13: not JSON"),
        ([*rows, {"task_id": "x", "completion": ""}], (), "unknown task_id 'x'"),
        ([{"task_id": rows[0]["task_id"]}], (), "'completion' is missing"),
        ([], (), "no samples"),
        (rows, ("--k", "5"), "no k of 5"),
        (rows, ("--k", "a"), "--k a"),
        (rows, ("--timeout", "0"), "--timeout"),
        (rows, ("--problems", ""), "give samples.jsonl and --problems"),
    ):
        assert run(folder, bad, *flags) == 2
        assert message in capsys.readouterr().err
        assert not (folder / "s.jsonl_results.jsonl").exists()
    assert run(folder, [*rows, "{\n"], "--skip-bad") == 0
    err = capsys.readouterr().err
    assert "line 13 skipped" in err


def test_check_prints_the_layer_and_what_it_kept_in(capsys):
    assert cli.run(score.main, score.Args, ["--check"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("layer: ")
    assert "a socket: kept in" in lines


def test_without_a_sandbox_it_refuses_unless_told(files, capsys, monkeypatch):
    folder, rows = files
    monkeypatch.setattr("codex_jax.score.Worker", refuse)
    assert run(folder, rows) == 2
    assert "no sandbox works here (landlock: EPERM)" in capsys.readouterr().err
    assert not (folder / "s.jsonl_results.jsonl").exists()
    assert run(folder, rows, "--unsafe", "--k", "1") == 0
    assert "warning: no sandbox works here" in capsys.readouterr().err


def refuse():
    raise InputError("no sandbox works here (landlock: EPERM)")


def test_score_does_not_import_jax():
    code = "import sys, codex_jax.score; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
