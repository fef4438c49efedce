import jax
import jax.numpy as jnp
import numpy as np
import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.cache import SLOTS, block_sizes, cache_bytes, empty_prefix, empty_suffix

CONFIG = ModelConfig(layers=3, width=32, heads=4, context=120, vocab_size=64)


def test_write_replaces_the_prompts_of_some_groups():
    prefix = empty_prefix(CONFIG, 3, 5)
    new = tuple(jnp.full((2, CONFIG.heads, 5, 8), layer + 1.0) for layer in range(CONFIG.layers))
    prefix = prefix.write(jnp.asarray([2, 3]), new, new, jnp.asarray([4, 5]))  # there is no group 3
    assert prefix.length.tolist() == [0, 0, 4]
    for layer in range(CONFIG.layers):
        assert prefix.key[layer].mean((1, 2, 3)).tolist() == [0, 0, layer + 1]
        assert prefix.value[layer].mean((1, 2, 3)).tolist() == [0, 0, layer + 1]


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
