import pytest

from codex_jax.curation.sampled import SampleCount, problem_of_row, read_problems, read_results, reason_to_drop
from codex_jax.errors import InputError
from codex_jax.storage.jsonl import write_objects

ROW = {"task_id": "a", "prompt": "def f():\n", "entry_point": "f", "canonical_solution": "    return 1\n", "test": "t"}


@pytest.mark.parametrize(
    ("count", "drop_solved", "reason"),
    [
        (SampleCount(), False, "no_samples"),
        (SampleCount(2, 1, "failed: x"), False, "reference_fails"),
        (SampleCount(2, 1, differs=True), False, "not_deterministic"),
        (SampleCount(2, 0), False, "solved_by_no_sample"),
        (SampleCount(2, 2), False, ""),
        (SampleCount(2, 2), True, "solved_by_every_sample"),
        (SampleCount(2, 1), True, ""),
    ],
)
def test_reasons(count, drop_solved, reason):
    assert reason_to_drop(count, drop_solved) == reason


def test_results_are_counted_over_files(tmp_path):
    rows = [("a", "x", True), ("a", "y", False), ("a", "x", True), ("b", "x", True), ("b", "x", False)]
    for number, some in enumerate((rows[:2], rows[2:])):
        results = [{"task_id": task, "completion": text, "passed": passed} for task, text, passed in some]
        write_objects(tmp_path / f"{number}.jsonl", results)
    counts = read_results([tmp_path / "0.jsonl", tmp_path / "1.jsonl"], ["a", "b", "c"])
    assert [(one.samples, one.passed, one.differs) for one in counts.values()] == [
        (3, 2, False),
        (2, 1, True),
        (0, 0, False),
    ]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"task_id": "other", "passed": True}, "not among the problems"),
        ({"task_id": "a"}, "has no 'passed'"),
        ({"task_id": "a", "passed": "yes"}, "has no 'passed'"),
    ],
)
def test_broken_results(tmp_path, row, message):
    write_objects(tmp_path / "r.jsonl", [row])
    with pytest.raises(InputError, match=message):
        read_results([tmp_path / "r.jsonl"], ["a"])


def test_problems_are_read_once_each(tmp_path):
    write_objects(tmp_path / "p.jsonl", [ROW, {**ROW, "task_id": "b", "repo": "r", "licence": "MIT"}])
    rows = read_problems(tmp_path / "p.jsonl")
    assert [*rows] == ["a", "b"]
    assert [problem_of_row(row).repo for row in rows.values()] == ["a", "r"]
    assert problem_of_row(rows["b"]).licence == "MIT"
    write_objects(tmp_path / "p.jsonl", [ROW, ROW])
    with pytest.raises(InputError, match="occurs twice"):
        read_problems(tmp_path / "p.jsonl")
    write_objects(tmp_path / "p.jsonl", [])
    with pytest.raises(InputError, match="contains no problems"):
        read_problems(tmp_path / "p.jsonl")
