import gzip
import json

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import heldout_problems, make_problem
from codex_jax.problems.load import load_benchmark
from codex_jax.problems.problem import PAPER_STOPS, load_problems, write_problems
from tests.problems.judging import write_evalplus
from tests.problems.test_apps import CALL, write
from tests.problems.test_mbpp import ROWS


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def test_humaneval_as_it_is_and_as_a_file(tmp_path):
    benchmark = load_benchmark("humaneval")
    problems = load_problems("humaneval")
    assert (benchmark.name, benchmark.stops) == ("HumanEval", PAPER_STOPS)
    assert [task.prompt for task in benchmark.tasks.values()] == [problem.prompt for problem in problems]
    write_problems(tmp_path / "p.jsonl", problems)
    packed = tmp_path / "p.jsonl.gz"
    packed.write_bytes(gzip.compress((tmp_path / "p.jsonl").read_bytes()))
    assert load_benchmark(str(packed)) == load_benchmark(str(tmp_path / "p.jsonl")) == benchmark


def test_building_blocks(tmp_path):
    tasks = load_benchmark("building_blocks").tasks
    assert list(tasks) == [problem.task_id for problem in heldout_problems()]
    assert {task.blocks for task in tasks.values()} == {1, 2, 3, 4}


def test_the_form_of_a_file_is_recognised(tmp_path):
    write_evalplus(tmp_path / "plus.jsonl", 2)
    assert load_benchmark(str(tmp_path / "plus.jsonl")).name == "EvalPlus"
    mbpp = load_benchmark(lines(tmp_path / "mbpp.jsonl", ROWS))
    assert mbpp.name == "MBPP"
    assert "\ndef" not in mbpp.stops
    write(tmp_path / "apps" / "0000", input_output=CALL)
    assert load_benchmark(f"apps:{tmp_path / 'apps'}").name == "APPS"


def test_a_digest_is_of_the_problems_and_their_tests(tmp_path):
    problems = [make_problem((n,), np.random.default_rng(0)) for n in (1, 2)]
    write_problems(tmp_path / "a.jsonl", problems)
    write_problems(tmp_path / "b.jsonl", problems)
    write_problems(
        tmp_path / "c.jsonl", [problems[0], make_problem((2,), np.random.default_rng(1), problems[1].entry_point)]
    )
    a, b, c = (load_benchmark(str(tmp_path / f"{name}.jsonl")).digest for name in "abc")
    assert a == b != c
    write(tmp_path / "apps" / "0000", input_output=CALL)
    first = load_benchmark(f"apps:{tmp_path / 'apps'}").digest
    (tmp_path / "apps" / "0000" / "input_output.json").write_text(json.dumps({**CALL, "outputs": [[3], [2]]}))
    assert load_benchmark(f"apps:{tmp_path / 'apps'}").digest != first


def test_bad_problem_files(tmp_path):
    path = tmp_path / "p.jsonl"
    write_problems(path, [make_problem((1,), np.random.default_rng(0))])
    whole = path.read_text()
    for text, message in (
        ("", "holds no problems"),
        ("\n \n", "holds no problems"),
        (whole + "{", "line 2: not JSON"),
        (whole + "[]\n", "line 2: not an object"),
        (whole + whole, "is there twice"),
        ('{"task_id": "a", "completion": ""}\n', "line 1: 'prompt' is missing or not text: it is no problem"),
        ('{"task_id": "a", "test": ""}\n', "line 1: 'prompt' is missing or not text: a problem of HumanEval's form"),
        (whole + json.dumps(ROWS[0]) + "\n", "line 2: a problem of MBPP's form, not HumanEval's"),
        (json.dumps(ROWS[0]) + "\n" + whole, "line 2: a problem of HumanEval's form, not MBPP's"),
        (whole.replace('"blocks": 1', '"blocks": "1"'), "line 1: the blocks of"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message) as caught:
            load_benchmark(str(path))
        assert str(path) in str(caught.value)
        assert "\n" not in str(caught.value)
    path.write_text(whole)
    with pytest.raises(InputError, match="a problem of HumanEval's form, not MBPP's"):
        load_benchmark(f"mbpp:{path}")
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress(whole.encode())[:-20])
    with pytest.raises(InputError, match="cannot read"):
        load_benchmark(str(tmp_path / "cut.jsonl.gz"))
    (tmp_path / "no.jsonl.gz").write_text(whole)
    with pytest.raises(InputError, match="cannot read"):
        load_benchmark(str(tmp_path / "no.jsonl.gz"))
    write(tmp_path / "apps" / "0000")
    for spec, message in (
        ("nonsense", "no problems file nonsense: give humaneval"),
        (str(tmp_path), "no problems file"),
        (f"mbpp:{tmp_path}/none", "no problems file"),
        (f"apps:{tmp_path}", "give the release's"),
        (f"apps:{tmp_path}/apps", "holds no problems with tests"),
    ):
        with pytest.raises(InputError, match=message):
            load_benchmark(spec)
