"""A model and a tokenizer so small that sampling takes no time."""

import flax.linen as nn
import jax
import numpy as np

from codex_jax.config import ModelConfig
from codex_jax.model.context import pack
from codex_jax.model.gpt import GPT, init_params

CONFIG = ModelConfig(layers=2, width=32, heads=2, context=192, vocab_size=128)


class Letters:
    """ASCII: one token per character, and NUL for end-of-text."""

    eot, vocab_size = 0, 127

    def encode(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(ids).decode()

    def token_bytes(self, token):
        return bytes([token])


def make_params():
    tree = nn.meta.unbox(init_params(CONFIG, jax.random.key(0)))
    return jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), tree)


@jax.jit
def full_logits(params, tokens):
    return GPT(CONFIG).apply({"params": params}, tokens, pack(tokens, 0))[0]


def teacher_forced(params, ids):
    """Logits [len(ids), 127] of the token after each of ids. Padded, so that only one length is compiled."""
    padded = np.ones((1, CONFIG.context), np.int32)
    padded[0, : len(ids)] = ids
    return np.asarray(full_logits(params, padded)[0, : len(ids), :127], np.float64)
