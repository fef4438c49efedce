"""A context has the tokens' positions_BT, int32 [B, T], and attend: with it, training and decoding share all layers."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp

from codex_jax.config import ModelConfig
from codex_jax.model.attention import attend_cached
from codex_jax.model.cache import Prefix, Suffix, next_positions
from codex_jax.model.geometry import score_scale
from codex_jax.model.kernels import packed_attention

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class PackedContext:
    """Whole documents, one after the other in each sequence: a token attends to its document's tokens so far."""

    segment_ids_BT: Array  # int32: tokens of one document share a number
    positions_BT: Array  # int32: each token's position in its document

    def attend(self, config: ModelConfig, query: Array, key: Array, value: Array, window: Array | int) -> Array:
        """-> [B, T, H, D], like query, key and value; window: see packed_attention."""
        return packed_attention(config, query, key, value, self.segment_ids_BT, window)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class CachedContext:
    """One new token per row (T = 1), which attends to the row's tokens in the KV cache and to itself."""

    prefix: Prefix
    suffix: Suffix
    longest: Array  # int32 []: the largest number of suffix slots in use
    layer: int = field(default=0, metadata={"static": True})  # the layer whose keys and values are read

    @property
    def positions_BT(self) -> Array:
        """int32 [B, 1]."""
        return next_positions(self.prefix, self.suffix)[:, None]

    def attend(self, config: ModelConfig, query: Array, key: Array, value: Array, window: Array | int) -> Array:
        """-> [B, 1, H, D], like query, key and value; window: int, 0 for no limit."""
        assert isinstance(window, int)
        new = query[:, 0] * score_scale(config), key[:, 0], value[:, 0]
        return attend_cached(*new, self.prefix, self.suffix, self.layer, self.longest, window)[:, None]


Context = PackedContext | CachedContext


def pack(tokens_BT: Array, eot: int) -> PackedContext:
    """The documents of packed sequences: each end-of-text token begins the next document, at position 0."""
    begins = tokens_BT == eot
    index = jnp.arange(tokens_BT.shape[1], dtype=jnp.int32)
    start = jax.lax.cummax(jnp.where(begins, index, 0), axis=1)
    return PackedContext(jnp.cumsum(begins, axis=1, dtype=jnp.int32), index - start)
