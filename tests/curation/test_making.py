import json
from pathlib import Path

import pytest

from codex_jax.curation.funnel import Funnel
from codex_jax.curation.made_problem import MadeProblem
from codex_jax.curation.making import MakingSettings, finish, open_workshop, publish_rows
from codex_jax.errors import InputError


def problem(name, body="    return x\n", test="assert candidate(1) == 1", repo="r"):
    text = f'def f(x):\n    """Of {name}: {" ".join(f"{name}{n}" for n in range(20))}."""\n'
    return MadeProblem(name, text, "f", body, f"def check(candidate):\n    {test}\n", "trace", "MIT", name, repo)


def settings(tmp_path, **others):
    return MakingSettings(out=tmp_path / "p.jsonl", protect=("none",), workers=1, **others)


def finished(options, problems):
    funnel = Funnel()
    for one in problems:
        funnel.find(one.repo)
    with open_workshop(options, "auto", {"command": "test"}) as workshop:
        rows = finish(problems, workshop, funnel)
    return rows, funnel


def test_what_is_kept_and_why_others_are_not(tmp_path):
    copy = problem("a")
    problems = [
        problem("a"), copy, MadeProblem(**{**copy.__dict__, "task_id": "copy"}), problem("wrong", "    return 2\n"),
        problem("slow", "    while True: pass\n"), problem("odd", "    return object()\n"),
        problem("seeded", "    return sorted(set('abcde'), key=hash) == list('abcde')\n", "assert candidate(1)"),
        problem("b", repo="s"),
    ]  # fmt: skip
    rows, funnel = finished(settings(tmp_path, timeout=0.5), problems)
    assert [row["task_id"] for row in rows] == ["a", "b"]
    dropped = dict(funnel.dropped)
    seeded = {name: dropped.pop(name, 0) for name in ("not_deterministic", "reference_fails")}
    assert dropped == {"same_name": 1, "near_duplicate": 1, "reference_times_out": 1, "values_cannot_be_sent": 1}
    assert seeded["reference_fails"] in (1, 2)
    assert sum(seeded.values()) == 2
    assert funnel.kept == len(rows)
    assert funnel.groups["s"] == {"found": 1, "kept": 1, "dropped": {}}


def test_rows_are_published_with_their_counts(tmp_path, capsys):
    options = settings(tmp_path, repeats=1)
    rows, funnel = finished(options, [problem("a")])
    assert publish_rows(rows, options, funnel, "functions") == 0
    assert [json.loads(line)["task_id"] for line in options.out.read_text().splitlines()] == ["a"]
    report = json.loads(options.report_path.read_text())
    assert report["splits"] == {"train": 1, "validation": 0, "test": 0}
    assert report["repeats"] == 1
    assert not Path(f"{options.out}.partial").exists()
    assert "p.jsonl: train 1" in capsys.readouterr().out
    assert publish_rows([], options, Funnel(), "functions") == 1


def test_a_journal_of_other_inputs_is_not_used(tmp_path):
    options = settings(tmp_path)
    with open_workshop(options, "auto", {"command": "one"}):
        pass
    with pytest.raises(InputError), open_workshop(options, "auto", {"command": "two"}):
        pass


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"timeout": 0.0}, "--timeout"), ({"workers": 0}, "--workers"), ({"repeats": 0}, "--repeats"),
        ({"repeats": 101}, "--repeats"), ({"seed": -1}, "--seed"), ({"out": Path("/nowhere/p.jsonl")}, "no folder"),
    ],
)  # fmt: skip
def test_settings_that_are_refused(tmp_path, others, message):
    with pytest.raises(InputError, match=message):
        MakingSettings(**{"out": tmp_path / "p.jsonl", **others}).check()


def test_finished_problems_are_not_replaced(tmp_path):
    (tmp_path / "p.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match="has problems already: delete it, or choose another --out"):
        settings(tmp_path).check()
    (tmp_path / "p.jsonl").write_text("")
    settings(tmp_path).check()
