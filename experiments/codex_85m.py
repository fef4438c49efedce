"""Codex 85M, pretrained on code as the paper's: make train-85m, or make plan-85m to see what it takes.

The records are those of DATA=DIR/NAME, or else lie at runs/data/github_python (data/github_python/README.md).
"""

from dataclasses import replace

from codex_jax.config import DataConfig, MeshConfig, OptimizerConfig, TrainConfig
from codex_jax.model.sizes import SIZES, steps_for

model, learning_rate = SIZES["85m"]
batch_size = 256  # sequences of 2,048 tokens: 0.5 million tokens, as the GPT-3 of this size
topology = "v5e:4x4"  # the slice for which plan --search found mesh, remat and accumulation

config = TrainConfig(
    name="codex_85m",
    model=replace(model, compute_dtype="bfloat16", gather_dtype="bfloat16", remat="dots_attention"),
    data=DataConfig(path="runs/data/github_python"),
    optimizer=OptimizerConfig(peak_learning_rate=learning_rate),  # the rest of the paper's are the defaults
    mesh=MeshConfig(data=2, fsdp=-1),
    batch_size=batch_size,
    accumulation=2,
    steps=steps_for(100e9, batch_size),
    eval_every=1000,
    checkpoint_every=1000,
)
