import gzip

import numpy as np
import pytest

from codex_jax.errors import InputError
from codex_jax.problems.building_blocks import make_problem
from codex_jax.problems.problem import load_problems, write_problems


def test_humaneval_has_164():
    problems = load_problems("humaneval")
    assert len(problems) == 164
    assert problems[0].task_id == "HumanEval/0"


def test_written_problems_are_read_back(tmp_path):
    problems = [make_problem(chain, np.random.default_rng(0)) for chain in ((1,), (2, 3))]
    write_problems(tmp_path / "p.jsonl", problems)
    assert load_problems(str(tmp_path / "p.jsonl")) == problems
    assert [path.name for path in tmp_path.iterdir()] == ["p.jsonl"]


def test_bad_files(tmp_path):
    path = tmp_path / "p.jsonl"
    write_problems(path, [make_problem((1,), np.random.default_rng(0))])
    whole = path.read_text()
    for text, message in (
        ("", "no problems"),
        (whole + "{", "line 2: not JSON"),
        (whole + "[]\n", "line 2: not an object"),
        (whole + whole, "twice"),
        ('{"task_id": "a"}\n', "'prompt' is missing"),
    ):
        path.write_text(text)
        with pytest.raises(InputError, match=message):
            load_problems(str(path))
    truncated = tmp_path / "p.jsonl.gz"
    truncated.write_bytes(gzip.compress(whole.encode())[:-20])
    with pytest.raises(InputError, match="cannot read"):
        load_problems(str(truncated))
    with pytest.raises(InputError, match="no problems file"):
        load_problems(str(tmp_path / "none.jsonl"))
