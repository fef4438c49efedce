"""Parameters for tests."""

import flax.linen as nn
import jax

from codex_jax.model.gpt import init_params


def make_params(config):
    """Initial parameters plus noise, so that biases and norms matter and attention is far from uniform."""
    tree = nn.meta.unbox(init_params(config, jax.random.key(0)))
    leaves, shape = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return jax.tree.unflatten(
        shape, [leaf + 0.2 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    )
