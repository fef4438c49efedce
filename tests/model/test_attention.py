import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.model.attention import attend, attend_cached, attend_packed
from codex_jax.model.cache import SLOTS, Prefix, Suffix
from tests.model.reference import attention as reference
from tests.model.reference import attention_gradients


@pytest.mark.parametrize("length", [1, 127, 300])
@pytest.mark.parametrize("window", [0, 1, 130])
def test_blocks_of_queries_agree_with_float64_reference(length, window):
    rng = np.random.default_rng(length)
    query, key, value, cotangent = (rng.normal(size=(1, length, 2, 8)).astype(np.float32) for _ in range(4))
    ids = np.cumsum(rng.random((1, length)) < 0.01, axis=1).astype(np.int32)
    args = query, key, value, ids, window
    expected = reference(*args), *attention_gradients(*args, cotangent)
    for constant_or_traced in (window, jnp.asarray(window)):

        def ours(query, *key_value, window=constant_or_traced):
            return attend_packed(query * 8**-0.5, *key_value, jnp.asarray(ids), window)

        out, pull = jax.vjp(ours, query, key, value)
        for actual, array in zip((out, *pull(cotangent)), expected, strict=True):
            np.testing.assert_allclose(actual, array, atol=2e-5)


@pytest.mark.parametrize(("window", "keys"), [(0, [128, 256, 384, 512]), (129, [128, 256, 256, 256])])
def test_a_block_skips_the_keys_that_none_of_its_queries_sees(window, keys):
    heads, ids = jax.ShapeDtypeStruct((1, 512, 2, 8), jnp.float32), jax.ShapeDtypeStruct((1, 512), jnp.int32)
    text = jax.jit(partial(attend_packed, window=window)).lower(heads, heads, heads, ids).as_text()
    assert [int(n) for n in re.findall(r"dot_general.*-> tensor<1x2x128x(\d{2,})xf32>", text)] == keys


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
