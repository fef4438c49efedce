"""Codex-S: supervised fine-tuning on problems with their solutions (paper section 4).

python -m codex_jax.train experiments/codex_s.py --init-from RUN --data.path DIR/NAME
python -m codex_jax.train experiments/codex_s.py:12b          with the mesh and batch of experiments/codex.py:12b

The learning rate is a tenth of RUN's, with the same schedule. Training stops when the validation loss has not fallen
for three evaluations; the last line names the checkpoint with the lowest, RUN@STEP. docs/codex_s.md is about the data.
"""

from dataclasses import replace
from pathlib import Path

from codex_jax.config import DataConfig, TrainConfig, load_experiment
from codex_jax.model.sizes import SIZES

TOKENS = 10e9  # the paper's fine-tuning took fewer
SEQ_LEN = 2048


def tuned(config: TrainConfig) -> TrainConfig:
    """The fine-tuning of a run that was trained with these settings."""
    steps = min(config.steps, int(TOKENS / SEQ_LEN / config.batch_size))
    every = max(1, steps // 100)
    return replace(
        config,
        name=config.name.replace("codex", "codex_s"),
        init_from=f"runs/{config.name}" if config.name != "codex" else "",
        data=DataConfig(path="runs/data/codex_s"),
        optimizer=replace(config.optimizer, init_fraction=0.1),
        steps=steps,
        eval_every=every,
        checkpoint_every=every,
        patience=3,
    )


config = tuned(TrainConfig(name="codex", steps=5000))
CODEX = Path(__file__).with_name("codex.py")
configs = {size: tuned(load_experiment(f"{CODEX}:{size}")) for size in SIZES}
