"""Codex 2.5B, pretrained on code as the paper's: make train-2.5b, or make plan-2.5b to see what it takes.

The records are those of DATA=DIR/NAME, or else lie at runs/data/github_python (data/github_python/README.md).
"""

from dataclasses import replace

from codex_jax.config import DataConfig, MeshConfig, OptimizerConfig, TrainConfig
from codex_jax.model.sizes import SIZES, steps_for

model, learning_rate = SIZES["2.5b"]
batch_size = 512  # sequences of 2,048 tokens: 1 million tokens, as the GPT-3 of this size
topology = "v5e:8x16"  # the slice for which plan --search found mesh, remat and accumulation

config = TrainConfig(
    name="codex_2.5b",
    model=replace(model, compute_dtype="bfloat16", gather_dtype="bfloat16", remat="dots"),
    data=DataConfig(path="runs/data/github_python"),
    optimizer=OptimizerConfig(peak_learning_rate=learning_rate),  # the rest of the paper's are the defaults
    mesh=MeshConfig(data=4, fsdp=-1),
    batch_size=batch_size,
    accumulation=2,
    steps=steps_for(100e9, batch_size),
    eval_every=1000,
    checkpoint_every=500,
)
