"""The paper's eight sizes (PAPER table 1 and GPT-3's), and how many parameters a config has."""

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


def non_embedding_parameters(config: ModelConfig) -> int:
    """Parameters outside the two embeddings: 12 * width^2 + 13 * width a layer, and the last LayerNorm."""
    width = config.width
    return config.layers * (12 * width * width + 13 * width) + 2 * width


def parameters(config: ModelConfig) -> int:
    """All parameters; the output projection is the token embedding (tied)."""
    return non_embedding_parameters(config) + (config.vocab_size + config.context) * config.width


def steps_for(tokens: float, batch_size: int, context: int = 2048) -> int:
    """Steps of batch_size sequences until so many tokens are seen; the paper trained on 100 billion."""
    return math.ceil(tokens / (batch_size * context))
