import jax.numpy as jnp

from codex_jax.model.cache import Prefix, Suffix
from codex_jax.model.context import CachedContext, pack

EOT = 0


def test_each_end_of_text_begins_a_document_at_position_0():
    context = pack(jnp.asarray([[3, 4, EOT, 5, EOT, EOT, 6]]), EOT)
    assert context.segment_ids_BT.tolist() == [[0, 0, 1, 1, 2, 3, 3]]
    assert context.positions_BT.tolist() == [[0, 1, 0, 1, 0, 0, 1]]


def test_a_cached_token_comes_after_its_prompt_and_its_own_suffix():
    # Two prompts of 9 and 4 tokens with two rows each.
    prefix, suffix = Prefix((), (), jnp.asarray([9, 4])), Suffix((), (), jnp.asarray([0, 2, 1, 0]))
    context = CachedContext(prefix, suffix, longest=jnp.asarray(2))
    assert context.positions_BT.tolist() == [[9], [11], [5], [4]]
