"""A tiny model that trains in seconds on any data set, to check data, mesh and settings before a long run.

python -m codex_jax.train experiments/tiny.py --data.path DIR/NAME
"""

from codex_jax.config import ModelConfig, OptimizerConfig, TrainConfig

config = TrainConfig(
    name="tiny",
    model=ModelConfig(layers=2, width=64, heads=2),
    optimizer=OptimizerConfig(peak_learning_rate=3e-3, warmup_steps=5),
    steps=20,
    batch_size=8,
    eval_batches=2,
)
