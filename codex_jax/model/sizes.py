"""The paper's eight model sizes: table 1 of the Codex paper, with the settings of GPT-3."""

import math

from codex_jax.config import ModelConfig

# name: (config, GPT-3's peak learning rate at that size)
SIZES: dict[str, tuple[ModelConfig, float]] = {
    "12m": (ModelConfig(layers=4, width=512, heads=8), 6e-4),
    "25m": (ModelConfig(layers=8, width=512, heads=8), 6e-4),
    "42m": (ModelConfig(layers=6, width=768, heads=12), 6e-4),
    "85m": (ModelConfig(layers=12, width=768, heads=12), 6e-4),
    "300m": (ModelConfig(layers=24, width=1024, heads=16), 3e-4),
    "679m": (ModelConfig(layers=24, width=1536, heads=16), 2.5e-4),
    "2.5b": (ModelConfig(layers=32, width=2560, heads=32), 1.6e-4),
    "12b": (ModelConfig(layers=40, width=5120, heads=40), 1e-4),
}


def steps_for(tokens: float, batch_size: int, context: int = 2048) -> int:
    """The number of steps that cover `tokens` tokens; batch_size: in sequences; context: tokens per sequence."""
    return math.ceil(tokens / (batch_size * context))
