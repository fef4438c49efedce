import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.gpt import GPT, init_params
from codex_jax.training.loss import summed_loss, target_weights
from tests.model.reference import forward

CONFIG = ModelConfig(layers=2, width=32, heads=2, context=16, vocab_size=64)


def test_padding_and_masked_targets_do_not_count():
    tokens = jnp.asarray([[0, 5, 6, 0, 7, 0, 0, 0]])
    assert target_weights({"tokens": tokens}, 0).tolist() == [[1, 1, 1, 1, 1, 0, 0]]
    mask = jnp.asarray([[1, 0, 1, 1, 0, 1, 1, 1]], jnp.uint8)
    assert target_weights({"tokens": tokens, "loss_mask": mask}, 0).tolist() == [[0, 1, 1, 0, 1, 0, 0]]


def test_loss_is_the_reference_cross_entropy_of_each_document():
    params = nn.meta.unbox(init_params(CONFIG, jax.random.key(0)))
    params = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), params)
    documents = [np.array([0, 5, 9, 33]), np.array([0, 60, 2, 3, 7])]
    row = np.concatenate([*documents, [0]])
    total, weight = summed_loss(GPT(CONFIG), params, {"tokens": jnp.asarray(row)[None]}, 0)
    expected = 0.0
    for document in documents:
        logits = forward(jax.tree.map(np.asarray, params), document, CONFIG.heads)
        logps = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        expected -= logps[np.arange(len(document)), [*document[1:], 0]].sum()
    assert float(weight) == 9
    assert float(total) == pytest.approx(expected, rel=1e-5)
