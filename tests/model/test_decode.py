from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.attention import attend, attend_cached
from codex_jax.model.cache import SLOTS, Prefix, Suffix, block_sizes, bytes_of, empty_prefix, empty_suffix
from codex_jax.model.decode import decode, forward, unstack
from codex_jax.model.gpt import GPT, segments_and_positions
from tests.model.made import make_params

EOT = 0
CONFIG = ModelConfig(layers=3, width=32, heads=4, context=120, vocab_size=64)


@pytest.fixture(scope="module")
def params():
    return make_params(CONFIG)


@pytest.mark.parametrize("reach", [None, 1, 9, 60])
def test_cached_attention_is_plain_attention_over_prompt_suffix_and_itself(reach):
    rng = np.random.default_rng(0)
    groups, rows, heads, size, places = 2, 3, 2, 8, 50
    prompts, drawn = np.array([50, 7]), np.array([0, 5, 70, 33, SLOTS, 1])
    slots = 3 * SLOTS
    prefix = [rng.normal(size=(groups, heads, places, size)).astype(np.float32) for _ in range(2)]
    suffix = [rng.normal(size=(1, 6, heads, slots, size)).astype(np.float32) for _ in range(2)]
    query, key, value = (rng.normal(size=(6, heads, size)).astype(np.float32) for _ in range(3))
    out = jax.jit(partial(attend_cached, layer=0, reach=reach))(
        query,
        key,
        value,
        Prefix((prefix[0],), (prefix[1],), jnp.asarray(prompts)),
        Suffix(*(((one[0][:, :, :SLOTS], one[0][:, :, SLOTS:]),) for one in suffix), jnp.asarray(drawn)),
        longest=jnp.asarray(70),
    )
    for row in range(6):
        group = row // rows
        parts = [
            np.concatenate([one[group][:, : prompts[group]], own[0, row][:, : drawn[row]], new[row][:, None]], axis=1)
            for one, own, new in zip(prefix, suffix, (key, value), strict=True)
        ]
        keys, values = (part[:, -reach:] if reach else part for part in parts)
        plain = attend(query[row][None, None], *(x.swapaxes(0, 1)[None] for x in (keys, values)), jnp.asarray(True))
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
        prefix = prefix.place(jnp.asarray([group]), keys, values, jnp.asarray([len(prompt) - 1]))
    run = jax.jit(partial(decode, config))
    full = jax.jit(lambda params, t: GPT(config).apply({"params": params}, t, *segments_and_positions(t, EOT))[0])
    wanted = [full(params, text[None])[0] for text in texts]
    # Row 1 stops on the way and begins again, as a refilled one does: its slots are written over.
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
            place = lengths[row // rows] - 1 + step - begun[row]
            np.testing.assert_allclose(logits[row], wanted[row][place], atol=3e-5)
            token[row] = texts[row][place + 1]


def test_rows_that_are_left_out_of_append_stay():
    suffix = empty_suffix(CONFIG, 2, 3)
    ones = (jnp.ones((2, CONFIG.heads, 8)),) * CONFIG.layers
    suffix = suffix.append(ones, ones, jnp.asarray([True, False]))
    assert suffix.length.tolist() == [1, 0]
    for (block,) in (*suffix.key, *suffix.value):
        assert float(block[0].sum()) == ones[0][0].size
        assert float(block[1].sum()) == 0


def test_a_suffix_goes_on_in_the_next_block():
    suffix = empty_suffix(CONFIG, 2, 100)
    starts, sizes = suffix.starts(), [block.shape[2] for block in suffix.key[0]]
    assert (starts, sizes) == ([0, 64], [64, 64])
    suffix = suffix._replace(length=jnp.asarray([63, 64]))
    ones = (jnp.ones((2, CONFIG.heads, 8)),) * CONFIG.layers
    first, second = suffix.append(ones, ones, jnp.asarray([True, True])).key[0]
    assert np.flatnonzero(first.sum((1, 3)).reshape(-1)).tolist() == [63]
    assert np.flatnonzero(second.sum((1, 3)).reshape(-1)).tolist() == [64]


@pytest.mark.parametrize(
    ("slots", "most", "sizes"),
    [(1, 64, [32]), (64, 64, [64]), (300, 160, [160, 160]), (300, 64, [64] * 5), (330, 160, [96, 128, 128])],
)
def test_blocks_are_few_and_alike(slots, most, sizes):
    assert sorted(block_sizes(slots, most)) == sizes


def test_bytes_are_those_of_the_arrays():
    suffix = empty_suffix(CONFIG, 3, SLOTS)
    assert 3 * bytes_of(CONFIG, SLOTS) == sum(leaf.nbytes for leaf in jax.tree.leaves((suffix.key, suffix.value)))
