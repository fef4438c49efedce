"""Trains a run for a few steps, for tests that load one."""

from codex_jax import cli, corpus, train


def make_run(root):
    """Writes root/run, and its data set beside it; returns root/run."""
    for n in range(12):
        (root / "src" / f"r{n}").mkdir(parents=True)
        (root / "src" / f"r{n}" / "m.py").write_text(f"def function_{n}(x):\n    return x * {n} + {n}\n" * 3)
    args = [f"dir:{root}/src", "--out", f"{root}/data", "--tokenizer", "train:320", "--seq-len", "64"]
    assert cli.run(corpus.main, corpus.Args, args) == 0
    (root / "x.py").write_text(
        "from codex_jax.config import ModelConfig, TrainConfig\n"
        "config = TrainConfig(model=ModelConfig(layers=2, width=32, heads=2, context=64), steps=3, batch_size=2)\n"
    )
    assert (
        cli.run_experiment(
            train.main, train.TrainArgs, [f"{root}/x.py", "--run-dir", f"{root}/run", "--data.path", f"{root}/data"]
        )
        == 0
    )
    return root / "run"
