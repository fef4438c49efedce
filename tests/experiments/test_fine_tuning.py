"""From problems to Codex-S and Codex-D, with a run of a few steps."""

import json
from pathlib import Path

import pytest

from codex_jax import cli, corpus, train
from codex_jax.problems.__main__ import SUBCOMMANDS, Args, main
from codex_jax.storage.jsonl import write_objects
from tests.sampling.made_run import make_run

EXPERIMENTS = Path(__file__).parents[2] / "experiments"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tuned")
    make_run(root)
    rows = [
        {
            "task_id": f"t/{n}",
            "prompt": f'def f{n}(x):\n    """Returns x plus {n}, the sum."""\n',
            "entry_point": f"f{n}",
            "canonical_solution": f"    return x + {n}\n",
            "test": "def check(candidate): pass",
        }
        for n in range(40)
    ]
    write_objects(root / "p.jsonl", rows)
    return root


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "experiment"), [("code", "codex_s"), ("docstring", "codex_d")])
def test_it_stops_when_the_validation_loss_does_not_fall(folder, kind, experiment, capsys):
    words = ["pairs", kind, f"{folder}/p.jsonl", "--out", f"{folder}/{kind}.jsonl"]
    assert cli.run(main, Args, words, SUBCOMMANDS) == 0
    data, run = folder / f"data_{kind}", folder / experiment
    words = [f"jsonl:{folder}/{kind}.jsonl", "--out", str(data), "--tokenizer", f"{folder}/run/tokenizer"]
    assert cli.run(corpus.main, corpus.Args, [*words, "--seq-len", "64"]) == 0
    words = [f"{EXPERIMENTS}/{experiment}.py", "--init-from", f"{folder}/run", "--data.path", str(data)]
    words += ["--run-dir", str(run), "--steps", "60", "--batch-size", "2", "--eval-every", "2", "--patience", "2"]
    words += ["--optimizer.init-fraction", "1", "--optimizer.warmup-steps", "0", "--checkpoint-every", "60"]
    capsys.readouterr()
    assert cli.run_experiment(train.main, train.TrainArgs, words) == 0
    config = json.loads((run / "config.json").read_text())
    assert config["optimizer"]["peak_learning_rate"] == 6e-4
    losses = {}
    for line in (run / "metrics.jsonl").read_text().splitlines():
        row = json.loads(line)
        losses |= {row["step"]: row["validation_loss"]} if "validation_loss" in row else {}
    last, best = max(losses), min(losses, key=losses.get)
    assert losses[0] > losses[best]
    assert last == 60 or last == best + 4
    if last < 60:
        assert f"its best parameters are {run}@{best}" in capsys.readouterr().err


def test_it_needs_a_run(folder, capsys):
    words = [f"{EXPERIMENTS}/codex_s.py", "--data.path", f"{folder}/data", "--run-dir", f"{folder}/none"]
    assert cli.run_experiment(train.main, train.TrainArgs, words) == 2
    assert "give --init-from RUN" in capsys.readouterr().err
    assert not (folder / "none").exists()
