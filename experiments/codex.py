"""Pretraining on code, at the paper's eight model sizes.

`make train-12b` trains the largest, and `make plan-12b` shows what it needs. The data set is runs/data/github_python
(data/github_python/README.md), or another with --data.path. Batch sizes are those of GPT-3, in sequences of 2,048
tokens. Mesh, remat policy and accumulation are the best that `plan --search` found for the TPU slice `topology`.
"""

from dataclasses import replace

from codex_jax.config import DataConfig, MeshConfig, OptimizerConfig, TrainConfig
from codex_jax.model.sizes import SIZES, steps_for

TOKENS = 100e9  # tokens that the paper trains on


def codex(size: str, topology: str, batch_size: int, data: int, accumulation: int, remat: str) -> TrainConfig:
    """The run of one model size; data: size of the mesh's data axis; fsdp takes the rest of the slice."""
    model, learning_rate = SIZES[size]
    return TrainConfig(
        name=f"codex_{size}",
        model=replace(model, compute_dtype="bfloat16", gather_dtype="bfloat16", remat=remat),
        data=DataConfig(path="runs/data/github_python"),
        optimizer=OptimizerConfig(peak_learning_rate=learning_rate),
        mesh=MeshConfig(data=data, fsdp=-1),
        batch_size=batch_size,
        accumulation=accumulation,
        steps=steps_for(TOKENS, batch_size),
        eval_every=1000,
        checkpoint_every={"2.5b": 500, "12b": 250}.get(size, 1000),
        topology=topology,
    )


configs = {
    "12m": codex("12m", "v5e:2x4", 256, data=2, accumulation=2, remat="dots_attention"),
    "25m": codex("25m", "v5e:2x4", 256, data=4, accumulation=4, remat="dots_attention"),
    "42m": codex("42m", "v5e:2x4", 256, data=4, accumulation=4, remat="dots_attention"),
    "85m": codex("85m", "v5e:4x4", 256, data=2, accumulation=2, remat="dots_attention"),
    "300m": codex("300m", "v5e:4x8", 256, data=2, accumulation=2, remat="dots_attention"),
    "679m": codex("679m", "v5e:8x8", 256, data=2, accumulation=1, remat="dots"),
    "2.5b": codex("2.5b", "v5e:8x16", 512, data=4, accumulation=2, remat="dots"),
    "12b": codex("12b", "v5e:16x16", 1024, data=2, accumulation=4, remat="dots"),
}
