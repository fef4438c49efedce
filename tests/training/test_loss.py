import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.gpt import GPT, init_params
from codex_jax.text.packing import pack_whole
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


def test_packing_and_left_padding_are_the_same():
    """The paper pads each prompt on the left to the longest of its batch (section 4.5); records are packed here."""
    params = nn.meta.unbox(init_params(CONFIG, jax.random.key(0)))
    params = jax.tree.map(lambda x: x + 0.1 * jax.random.normal(jax.random.key(x.size), x.shape), params)
    pairs = [([5, 9], [33, 2]), ([60, 2, 3, 7, 8], [1, 4, 6]), ([11], [12]), ([13, 14, 15, 16], [17]), ([20], [21, 22])]
    ((packed, packed_mask),) = pack_whole(pairs, CONFIG.context, 0)
    padded = np.zeros((len(pairs), CONFIG.context + 1), np.int32)
    padded_mask = np.zeros(padded.shape, np.uint8)
    for row, (prompt, completion) in enumerate(pairs):
        length = len(prompt) + len(completion) + 1  # with the end-of-text that closes it
        padded[row, -length:] = [*prompt, *completion, 0]
        padded_mask[row, -len(completion) - 1 :] = 1
    assert len(packed) < len(padded)

    def loss(params, tokens, mask):
        total, weight = summed_loss(GPT(CONFIG), params, {"tokens": jnp.asarray(tokens), "loss_mask": mask}, 0)
        return total / weight, weight

    compute = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (first, targets), gradients = compute(params, packed, packed_mask)
    (second, same), others = compute(params, padded, padded_mask)
    assert float(targets) == float(same) == sum(len(completion) + 1 for _, completion in pairs)
    assert float(first) == pytest.approx(float(second), rel=1e-6)
    for one, other in zip(jax.tree.leaves(gradients), jax.tree.leaves(others), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
