import pytest

from codex_jax.errors import InputError
from codex_jax.problems.problem import Problem, TestSuite
from codex_jax.scoring.judge import Judgement
from codex_jax.scoring.results import check_out, check_replaced, delete_journal, failing_references, result_row

PASSED, FAILED = Judgement("passed", {"test": "passed"}), Judgement("failed: X", {"test": "failed: X"})
PROBLEM = Problem("t/0", "", "f", (TestSuite("test", ()),), opening="def f():\n", group="interview", blocks=2)


def test_rows_have_human_eval_s_fields():
    assert result_row({"task_id": "t/0", "completion": "x", "mean_logp": -1.0}, PROBLEM, PASSED) == {
        "task_id": "t/0",
        "completion": "x",
        "mean_logp": -1.0,
        "result": "passed",
        "passed": True,
        "group": "interview",
        "blocks": 2,
    }


def test_a_solution_gets_a_completion_and_several_suites_are_listed():
    judgement = Judgement("timed out", {"base": "passed", "plus": "timed out"})
    row = result_row({"task_id": "t/0", "solution": "def f():\n    return 1\n"}, PROBLEM, judgement)
    assert (row["completion"], row["passed"], row["parts"]) == ("    return 1\n", False, judgement.suites)


def test_a_reference_that_fails_is_in_the_row():
    rows = [
        result_row({"task_id": "t/0", "completion": "x"}, PROBLEM, Judgement("passed", {}, "timed out")),
        result_row({"task_id": "t/1", "completion": "x", "reference": "mine"}, PROBLEM, PASSED),
    ]
    assert [row.get("reference") for row in rows] == ["timed out", None]
    assert failing_references([*rows, {"task_id": "t/2", "reference": 3}]) == {"t/0": "timed out"}


def test_a_sample_s_own_result_fields_are_replaced():
    sample = {
        "task_id": "t/0",
        "completion": "x",
        "parts": {"examples": "passed"},
        "group": "y",
        "blocks": 3,
        "passed": 1,
    }
    row = {"task_id": "t/0", "completion": "x", "result": "failed: X", "passed": False}
    assert result_row(sample, Problem("t/0", "", "f", ()), FAILED) == row


def test_results_never_replace_an_input(tmp_path):
    samples, out = tmp_path / "s.jsonl", tmp_path / "r.jsonl"
    samples.write_text('{"task_id": "t", "completion": "x"}\n')
    (tmp_path / "link").symlink_to(samples)
    (tmp_path / "hard").hardlink_to(samples)
    check_out(out, [samples])
    for place in (samples, tmp_path / "link", tmp_path / "hard", tmp_path / "." / "s.jsonl"):
        with pytest.raises(InputError, match="would replace"):
            check_out(place, [samples])


def test_results_replace_only_results_of_the_same_samples(tmp_path):
    out = tmp_path / "r.jsonl"
    samples = [{"task_id": "t", "completion": "x"}]
    check_replaced(out, samples)
    out.write_text('{"task_id": "t", "completion": "x", "result": "passed", "passed": true}\n')
    check_replaced(out, samples)
    check_replaced(out, [{"task_id": "t", "solution": "x"}])
    for text in ("notes\n", '{"task_id": "t", "completion": "y"}\n', '{"task_id": "u", "completion": "x"}\n', ""):
        out.write_text(text)
        with pytest.raises(InputError, match="does not hold results of these samples"):
            check_replaced(out, samples)


def test_the_journal_is_deleted(tmp_path):
    delete_journal(tmp_path / "r.jsonl")  # there is none
    journal = tmp_path / "r.jsonl.partial"
    journal.write_text("")
    delete_journal(tmp_path / "r.jsonl")
    assert not journal.exists()
    journal.mkdir()
    with pytest.raises(InputError, match=r"cannot delete .*r\.jsonl\.partial"):
        delete_journal(tmp_path / "r.jsonl")
