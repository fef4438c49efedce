import gzip
import json

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import heldout_problems, make_problem
from codex_jax.problems.humaneval import write_problems
from codex_jax.problems.load import load_problems, protected_texts
from codex_jax.problems.problem import PAPER_STOPS
from tests.problems.judging import write_evalplus
from tests.problems.test_apps import CALL, write
from tests.problems.test_mbpp import ROWS


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_humaneval_by_name_and_as_a_file(tmp_path):
    benchmark = load_problems("humaneval")
    assert (benchmark.name, benchmark.stops) == ("HumanEval", PAPER_STOPS)
    assert list(benchmark.problems) == [f"HumanEval/{n}" for n in range(164)]
    write_problems(tmp_path / "p.jsonl", benchmark.problems.values())
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "p.jsonl").read_bytes()))
    assert load_problems(str(packed)) == load_problems(str(tmp_path / "p.jsonl")) == benchmark


def test_building_blocks():
    benchmark = load_problems("building_blocks")
    assert (benchmark.name, list(benchmark.problems.values())) == ("building blocks", heldout_problems())
    assert {problem.blocks for problem in benchmark.problems.values()} == {1, 2, 3, 4}


def test_the_format_of_a_file_is_recognised(tmp_path):
    write_evalplus(tmp_path / "plus.jsonl", 2)
    assert load_problems(str(tmp_path / "plus.jsonl")).name == "EvalPlus"
    mbpp = load_problems(lines(tmp_path / "mbpp.jsonl", ROWS))
    assert mbpp.name == "MBPP"
    assert "\ndef" not in mbpp.stops
    write(tmp_path / "apps" / "0000", input_output=CALL)
    assert load_problems(f"apps:{tmp_path / 'apps'}").name == "APPS"


def test_the_digest_covers_the_problems_and_their_tests(tmp_path):
    problems = [make_problem((n,), np.random.default_rng(0)) for n in (1, 2)]
    write_problems(tmp_path / "a.jsonl", problems)
    write_problems(tmp_path / "b.jsonl", problems)
    write_problems(
        tmp_path / "c.jsonl", [problems[0], make_problem((2,), np.random.default_rng(1), problems[1].entry_point)]
    )
    a, b, c = (load_problems(str(tmp_path / f"{name}.jsonl")).digest for name in "abc")
    assert a == b != c
    write(tmp_path / "apps" / "0000", input_output=CALL)
    first = load_problems(f"apps:{tmp_path / 'apps'}").digest
    (tmp_path / "apps" / "0000" / "input_output.json").write_text(json.dumps({**CALL, "outputs": [[3], [2]]}))
    assert load_problems(f"apps:{tmp_path / 'apps'}").digest != first


def test_bad_problem_files(tmp_path):
    path = tmp_path / "p.jsonl"
    write_problems(path, [make_problem((1,), np.random.default_rng(0))])
    whole = path.read_text()
    for text, message in (
        ("", "contains no problems"),
        ("\n \n", "contains no problems"),
        (whole + "{", "line 2: not JSON"),
        (whole + "[]\n", "line 2: not an object"),
        (whole + whole, "occurs twice"),
        ('{"task_id": "a", "completion": ""}\n', "line 1: not a problem, as 'prompt' is missing or not text"),
        (
            '{"task_id": "a", "test": ""}\n',
            "line 1: 'prompt' is missing or not text, which HumanEval's format requires",
        ),
        (whole + json.dumps(ROWS[0]) + "\n", "line 2 is in MBPP's format, not HumanEval's"),
        (json.dumps(ROWS[0]) + "\n" + whole, "line 2 is in HumanEval's format, not MBPP's"),
        (whole.replace('"blocks": 1', '"blocks": "1"'), "line 1: 'blocks' of"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            load_problems(str(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    path.write_text(whole)
    with pytest.raises(InputError, match="is in HumanEval's format, not MBPP's"):
        load_problems(f"mbpp:{path}")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(whole.encode())[:-20])
    with pytest.raises(InputError, match="cannot read"):
        load_problems(str(tmp_path / "cut.jsonl.gz"))
    (tmp_path / "no.jsonl.gz").write_text(whole)
    with pytest.raises(InputError, match=r"no\.jsonl\.gz is not a gzip file"):
        load_problems(str(tmp_path / "no.jsonl.gz"))
    write(tmp_path / "apps" / "0000")
    for spec, message in (
        ("nonsense", "no problems file nonsense: give humaneval"),
        (str(tmp_path), "no problems file"),
        (f"mbpp:{tmp_path}/none", "no problems file"),
        (f"apps:{tmp_path}", "give the release's"),
        (f"apps:{tmp_path}/apps", "contains no problems with tests"),
    ):
        with pytest.raises(InputError, match=message):
            load_problems(spec)


def test_every_benchmark_can_be_protected(tmp_path):
    (first, *_) = load_problems("humaneval").problems.values()
    texts = list(protected_texts(("none", "humaneval", "building_blocks")))
    assert len(texts) == 2 * 164 + 2 * 40
    assert texts[:2] == [("HumanEval/0", first.prompt), ("HumanEval/0", first.canonical_solution)]
    assert first.prompt.endswith('"""\n')
    assert first.canonical_solution.startswith("    ")
    assert texts[-1][1].endswith("    return s\n")

    (row, *_) = write_evalplus(tmp_path / "plus.jsonl", 1)
    plus = [(row["task_id"], row["prompt"]), (row["task_id"], row["canonical_solution"])]
    assert list(protected_texts((str(tmp_path / "plus.jsonl"),))) == plus
    path = lines(tmp_path / "mbpp.jsonl", ROWS[:1])
    ((name, prompt), code) = protected_texts((f"mbpp:{path}",))
    assert (name, code) == ("MBPP/1", ("MBPP/1", ROWS[0]["code"]))
    assert "Write a function to add.\nassert add(1, 2) == 3\n" in prompt
    assert list(protected_texts((path,))) == [(name, prompt), code]

    write(tmp_path / "apps" / "0000", input_output=CALL, solutions=["x", "y"])
    write(tmp_path / "apps" / "0001", solutions=["z"])  # it has no tests, so it cannot be scored
    assert list(protected_texts((f"apps:{tmp_path / 'apps'}",))) == [
        ("apps/0000", "Question 0000: \u2264\n"),
        ("apps/0000", "x"),
        ("apps/0000", "y"),
        ("apps/0001", "Question 0001: \u2264\n"),
        ("apps/0001", "z"),
    ]
    with pytest.raises(InputError, match="no problems file nonsense"):
        list(protected_texts(("nonsense",)))
