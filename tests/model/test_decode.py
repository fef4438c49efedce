from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.attention import attend, attend_cached
from codex_jax.model.cache import SLOTS, Prefix, Suffix, block_sizes, cache_bytes, empty_prefix, empty_suffix
from codex_jax.model.context import pack
from codex_jax.model.decode import decode, forward, unstack
from codex_jax.model.gpt import GPT
from tests.model.made import make_params

EOT = 0
CONFIG = ModelConfig(layers=3, width=32, heads=4, context=120, vocab_size=64)


@pytest.fixture(scope="module")
def params():
    return make_params(CONFIG)


@pytest.mark.parametrize("window", [0, 1, 9, 60])
def test_cached_attention_is_plain_attention_over_prompt_suffix_and_itself(window):
    rng = np.random.default_rng(0)
    groups, rows, heads, size, positions = 2, 3, 2, 8, 50
    prompts, generated = np.array([50, 7]), np.array([0, 5, 70, 33, SLOTS, 1])
    slots = 3 * SLOTS
    prefix = [rng.normal(size=(groups, heads, positions, size)).astype(np.float32) for _ in range(2)]
    suffix = [rng.normal(size=(1, 6, heads, slots, size)).astype(np.float32) for _ in range(2)]
    query, key, value = (rng.normal(size=(6, heads, size)).astype(np.float32) for _ in range(3))
    scaled = query * size**-0.5
    out = jax.jit(partial(attend_cached, layer=0, window=window))(
        scaled,
        key,
        value,
        Prefix((prefix[0],), (prefix[1],), jnp.asarray(prompts)),
        Suffix(*(((one[0][:, :, :SLOTS], one[0][:, :, SLOTS:]),) for one in suffix), jnp.asarray(generated)),
        longest=jnp.asarray(70),
    )
    for row in range(6):
        group = row // rows
        parts = [
            np.concatenate(
                [one[group][:, : prompts[group]], own[0, row][:, : generated[row]], new[row][:, None]], axis=1
            )
            for one, own, new in zip(prefix, suffix, (key, value), strict=True)
        ]
        keys, values = (part[:, -window:] if window else part for part in parts)
        plain = attend(scaled[row][None, None], *(x.swapaxes(0, 1)[None] for x in (keys, values)), jnp.asarray(True))
        np.testing.assert_allclose(out[row], plain[0, 0], atol=1e-5)


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


def test_append_leaves_other_rows_unchanged():
    suffix = empty_suffix(CONFIG, 2, 3)
    ones = (jnp.ones((2, CONFIG.heads, 8)),) * CONFIG.layers
    suffix = suffix.append(ones, ones, jnp.asarray([True, False]))
    assert suffix.length.tolist() == [1, 0]
    for (block,) in (*suffix.key, *suffix.value):
        assert float(block[0].sum()) == ones[0][0].size
        assert float(block[1].sum()) == 0


def test_a_suffix_continues_in_the_next_block():
    suffix = empty_suffix(CONFIG, 2, 100)
    starts, sizes = suffix.starts(), [block.shape[2] for block in suffix.key[0]]
    assert (starts, sizes) == ([0, 64], [64, 64])
    suffix = suffix._replace(length=jnp.asarray([63, 64]))
    ones = (jnp.ones((2, CONFIG.heads, 8)),) * CONFIG.layers
    first, second = suffix.append(ones, ones, jnp.asarray([True, True])).key[0]
    assert np.flatnonzero(first.sum((1, 3)).reshape(-1)).tolist() == [63]
    assert np.flatnonzero(second.sum((1, 3)).reshape(-1)).tolist() == [64]


@pytest.mark.parametrize(
    ("slots", "limit", "sizes"),
    [(1, 64, [32]), (64, 64, [64]), (300, 160, [160, 160]), (300, 64, [64] * 5), (330, 160, [96, 128, 128])],
)
def test_blocks_are_few_and_nearly_equal(slots, limit, sizes):
    assert sorted(block_sizes(slots, limit)) == sizes


def test_cache_bytes_is_the_size_of_the_arrays():
    suffix = empty_suffix(CONFIG, 3, SLOTS)
    assert 3 * cache_bytes(CONFIG, SLOTS) == sum(leaf.nbytes for leaf in jax.tree.leaves((suffix.key, suffix.value)))
