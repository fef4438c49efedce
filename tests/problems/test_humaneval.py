import gzip
import json

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import make_problem
from codex_jax.problems.humaneval import data_file, problem_of, row_of, write_problems
from codex_jax.problems.load import load_problems

ROW = {
    "task_id": "t/0",
    "prompt": "def f(x):\n",
    "entry_point": "f",
    "canonical_solution": "    return x\n",
    "test": "def check(candidate):\n    assert candidate(1) == 1\n",
}


def test_a_row_becomes_a_problem_and_back():
    problem = problem_of(ROW)
    assert problem.reference == problem.setup == "def f(x):\n    return x\n"
    assert problem.opening == problem.prompt == "def f(x):\n"
    assert [(suite.name, suite.cases, suite.required) for suite in problem.suites] == [("test", (ROW["test"],), True)]
    assert (problem.blocks, problem.host, problem.group) == (None, "", "")
    assert problem.stops == ("\nclass", "\ndef", "\n#", "\nif", "\nprint")
    assert row_of(problem) == ROW
    assert row_of(problem_of({**ROW, "blocks": 2, "more": 1})) == {**ROW, "blocks": 2}
    with pytest.raises(InputError, match="'blocks' of 't/0' is not a whole number"):
        problem_of({**ROW, "blocks": "2"})


def test_all_rows_of_humaneval_survive():
    rows = [json.loads(line) for line in gzip.decompress(data_file().read_bytes()).splitlines()]
    assert len(rows) == 164
    assert [row_of(problem) for problem in load_problems("humaneval").problems.values()] == rows


def test_written_problems_are_read_back(tmp_path):
    problems = [make_problem(chain, np.random.default_rng(0)) for chain in ((1,), (2, 3))]
    write_problems(tmp_path / "p.jsonl", problems)
    assert list(load_problems(str(tmp_path / "p.jsonl")).problems.values()) == problems
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]
    fields = ["task_id", "prompt", "entry_point", "canonical_solution", "test", "blocks"]
    assert [list(json.loads(line)) for line in (tmp_path / "p.jsonl").read_text().splitlines()] == [fields] * 2
