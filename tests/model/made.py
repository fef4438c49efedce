"""Parameters for tests."""

import flax.linen as nn
import jax
import jax.numpy as jnp

from codex_jax.model.gpt import GPT


def make_params(config):
    """Away from initialisation, so that biases and norms matter and attention is far from uniform."""
    tokens = jnp.zeros((1, 4), jnp.int32)
    tree = nn.meta.unbox(GPT(config).init(jax.random.key(0), tokens, tokens, tokens))["params"]
    leaves, shape = jax.tree.flatten(tree)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return jax.tree.unflatten(
        shape, [leaf + 0.2 * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys, strict=True)]
    )
