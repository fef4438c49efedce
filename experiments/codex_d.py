"""Codex-D: a model that writes the docstring of a function (paper section 5).

python -m codex_jax.train experiments/codex_d.py --init-from RUN --data.path DIR/NAME
python -m codex_jax.train experiments/codex_d.py:12b          with the mesh and batch of experiments/codex.py:12b

It is fine-tuned as Codex-S is (experiments/codex_s.py), on pairs with the docstring as the completion:
python -m codex_jax.problems pairs docstring ... --out pairs.jsonl. docs/codex_d.md shows how to use it.
"""

from dataclasses import replace
from pathlib import Path

from codex_jax.config import DataConfig, TrainConfig, load_experiment
from codex_jax.model.sizes import SIZES

CODEX_S = Path(__file__).with_name("codex_s.py")


def of_docstrings(spec: str) -> TrainConfig:
    """The settings of a Codex-S run for docstrings."""
    config = load_experiment(spec)
    return replace(config, name=config.name.replace("_s", "_d"), data=DataConfig(path="runs/data/codex_d"))


config = of_docstrings(str(CODEX_S))
configs = {size: of_docstrings(f"{CODEX_S}:{size}") for size in SIZES}
