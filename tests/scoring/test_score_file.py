import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import make_problem
from codex_jax.problems.humaneval import write_problems
from codex_jax.problems.load import load_problems
from codex_jax.scoring.judge import Judgement
from codex_jax.scoring.sample_files import SampleFile
from codex_jax.scoring.score_file import read_judgements, score
from codex_jax.storage.journal import open_journal

PROBLEM = make_problem((1, 2), np.random.default_rng(0))
COMPLETIONS = (PROBLEM.canonical_solution, "    return 0\n", "    return (\n")


def read(path, rows, samples=3):
    """The judgements in a journal of these rows."""
    path.write_text("".join(json.dumps(row) + "\n" for row in [{"samples": "s"}, *rows]))
    with open_journal(path, {"samples": "s"}) as journal:
        return read_judgements(journal, samples)


def test_judgements_are_read_by_index(tmp_path):
    rows = [
        {"index": 2, "result": "passed", "parts": {"test": "passed"}},
        {"index": 0, "result": "failed: X", "parts": {"base": "passed", "plus": "failed: X"}},
        {"index": 1, "result": "passed", "parts": {}, "reference": "timed out"},
    ]
    assert read(tmp_path / "j", rows) == {
        2: Judgement("passed", {"test": "passed"}),
        0: Judgement("failed: X", {"base": "passed", "plus": "failed: X"}),
        1: Judgement("passed", {}, "timed out"),
    }


@pytest.mark.parametrize(
    "row",
    [
        {"index": 3, "result": "passed", "parts": {}},
        {"index": -1, "result": "passed", "parts": {}},
        {"index": "0", "result": "passed", "parts": {}},
        {"index": 0, "result": 1, "parts": {}},
        {"index": 0, "result": "passed", "parts": []},
        {"result": "passed", "parts": {}},
        {},
    ],
)
def test_a_damaged_journal_is_refused(tmp_path, row):
    good = {"index": 0, "result": "passed", "parts": {}}
    with pytest.raises(InputError, match="line 3 is not a judgement: delete the file"):
        read(tmp_path / "j", [good, row])


def test_only_samples_without_a_judgement_run(tmp_path, capsys):
    write_problems(tmp_path / "p.jsonl", [PROBLEM])
    benchmark = load_problems(str(tmp_path / "p.jsonl"))
    samples = [{"task_id": PROBLEM.task_id, "completion": text} for text in COMPLETIONS]
    file = SampleFile(tmp_path / "s.jsonl", samples, tmp_path / "r.jsonl")
    results = [row["result"].split(":")[0] for row in score(file, benchmark, 5.0, 2, "auto")]
    assert results == ["passed", "failed", "failed"]
    journal = Path(f"{file.out}.partial")
    header, *rows = map(json.loads, journal.read_text().splitlines())
    assert {name: type(value) for name, value in header.items()} == {"samples": str, "problems": str, "timeout": float}
    assert header["timeout"] == 5.0
    assert sorted(row["index"] for row in rows) == [0, 1, 2]

    # The journal has another result for the second sample, which shows that the sample does not run again.
    rows = [{"index": 1, "result": "timed out", "parts": {"test": "timed out"}}]
    journal.write_text("".join(json.dumps(row) + "\n" for row in [header, *rows]))
    file.out.unlink()
    scored = score(file, benchmark, 5.0, 2, "auto")
    assert [row["result"].split(":")[0] for row in scored] == ["passed", "timed out", "failed"]
    assert [json.loads(line) for line in file.out.read_text().splitlines()] == scored
    assert "1 of 3 samples are scored already" in capsys.readouterr().err


def test_a_failing_reference_is_named_also_after_a_resume(tmp_path, capsys):
    broken = replace(PROBLEM, task_id="t/broken", reference=PROBLEM.prompt + "    return None\n")
    write_problems(tmp_path / "p.jsonl", [PROBLEM, broken])
    benchmark = load_problems(str(tmp_path / "p.jsonl"))
    samples = [{"task_id": task_id, "completion": COMPLETIONS[0]} for task_id in benchmark.problems]
    file = SampleFile(tmp_path / "s.jsonl", samples, tmp_path / "r.jsonl")
    warning = "warning: the reference solution of t/broken does not pass its own tests here: failed: AssertionError"
    for _ in range(2):
        rows = score(file, benchmark, 5.0, 2, "auto")
        assert [(row["passed"], row.get("reference", "")[:22]) for row in rows] == [
            (True, ""),
            (True, "failed: AssertionError"),
        ]
        assert capsys.readouterr().err.count(warning) == 1
        file.out.unlink()


def test_samples_run_in_an_order_drawn_at_random(tmp_path):
    write_problems(tmp_path / "p.jsonl", [PROBLEM])
    benchmark = load_problems(str(tmp_path / "p.jsonl"))
    samples = [{"task_id": PROBLEM.task_id, "completion": f"    return {n}\n"} for n in range(30)]
    orders = []
    for name in ("a", "b"):
        file = SampleFile(tmp_path / "s.jsonl", samples, tmp_path / name)
        assert [row["completion"] for row in score(file, benchmark, 5.0, 1, "auto")] == [
            sample["completion"] for sample in samples
        ]
        _, *rows = map(json.loads, Path(f"{file.out}.partial").read_text().splitlines())
        orders.append([row["index"] for row in rows])
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(30))
