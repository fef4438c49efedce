from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.cache import SLOTS, empty_prefix, empty_suffix
from codex_jax.model.context import pack
from codex_jax.model.decode import decode, forward, unstack
from codex_jax.model.gpt import GPT
from tests.model.made import make_params

EOT = 0
CONFIG = ModelConfig(layers=3, width=32, heads=4, context=120, vocab_size=64)


@pytest.fixture(scope="module")
def params():
    return make_params(CONFIG)


@pytest.mark.parametrize("window", [0, 10])
def test_decoding_two_prompts_side_by_side_agrees_with_the_full_forward(params, window):
    config = ModelConfig(**{**CONFIG.__dict__, "window": window})
    rng = np.random.default_rng(0)
    lengths, rows, new = (9, 30), 2, SLOTS + 8
    prompts = [np.concatenate([[EOT], rng.integers(1, 64, length - 1)]) for length in lengths]
    texts = [np.concatenate([prompts[row // rows], rng.integers(1, 64, new)]) for row in range(4)]
    weights = unstack(params)
    prefix, suffix = empty_prefix(config, 2, 40), empty_suffix(config, 4, new)
    for group, prompt in enumerate(prompts):
        padded = np.pad(prompt[:-1], (0, 41 - len(prompt)), constant_values=5)
        _, keys, values = forward(config, weights, jnp.asarray(padded)[None], EOT)
        prefix = prefix.write(jnp.asarray([group]), keys, values, jnp.asarray([len(prompt) - 1]))
    run = jax.jit(partial(decode, config))
    full = jax.jit(lambda params, t: GPT(config).apply({"params": params}, t, pack(t, EOT))[0])
    expected = [full(params, text[None])[0] for text in texts]
    # Row 1 starts over after 20 steps, as a refilled row does: its slots are overwritten.
    token, begun = np.array([prompts[row // rows][-1] for row in range(4)]), np.zeros(4, int)
    for step in range(new):
        if step == 20:
            suffix = suffix._replace(length=suffix.length.at[1].set(0))
            begun[1] = step
            token[1] = prompts[0][-1]
        live = np.ones(4, bool)
        logits, keys, values = run(weights, token, prefix, suffix, live)
        suffix = suffix.append(keys, values, jnp.asarray(live))
        for row in range(4):
            position = lengths[row // rows] - 1 + step - begun[row]
            np.testing.assert_allclose(logits[row], expected[row][position], atol=3e-5)
            token[row] = texts[row][position + 1]
