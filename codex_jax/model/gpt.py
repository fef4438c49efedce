"""GPT-3's decoder in Flax Linen: pre-LayerNorm with biases, GELU, learned positions, tied embeddings.

Tensors end in their axes: B sequences, T tokens, S cached tokens, H heads, D head size, C width, V vocabulary.
"""

from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from codex_jax.config import ModelConfig
from codex_jax.model.attention import attend_cached
from codex_jax.model.cache import Prefix, Suffix
from codex_jax.model.kernels import attention, current_mesh

Array = jax.Array

INIT_STD = 0.02  # GPT-2's, kept by GPT-3
LAYER_NORM_EPSILON = 1e-5

REMAT = {
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


def dtype_of(config: ModelConfig) -> Any:
    """The compute dtype."""
    return jnp.dtype(config.compute_dtype)


def _dense(
    config: ModelConfig,
    features: int | tuple[int, ...],
    axes: tuple[str, ...],
    name: str,
    std: float,
    inputs: int = 1,
) -> nn.Module:
    # The kernel's last axes are the outputs, and the bias has only those.
    return nn.DenseGeneral(
        features,
        axis=tuple(range(-inputs, 0)),
        dtype=dtype_of(config),
        kernel_init=nn.with_logical_partitioning(nn.initializers.normal(std), axes),
        bias_init=nn.with_logical_partitioning(nn.initializers.zeros, axes[inputs:]),
        name=name,
    )


def _split_batch(x: Array) -> Array:
    # The mesh is named: Linen by itself does not see that of `with mesh:`, and then drops the constraint.
    mesh = current_mesh()
    named = mesh if isinstance(mesh, Mesh) else None
    return nn.with_logical_constraint(x, ("batch", "length", "activation"), mesh=named)


def _layer_norm(name: str) -> nn.Module:
    return nn.LayerNorm(
        epsilon=LAYER_NORM_EPSILON,
        dtype=jnp.float32,
        scale_init=nn.with_logical_partitioning(nn.initializers.ones, ("embed",)),
        bias_init=nn.with_logical_partitioning(nn.initializers.zeros, ("embed",)),
        name=name,
    )


class Block(nn.Module):
    """One layer. Called with segment ids it sees a whole batch; with a cache it sees one new token a sample."""

    config: ModelConfig

    @nn.compact
    def __call__(
        self, x: Array, segment_ids_BT: Array | None, cache: tuple | None, lengths: tuple | None, banded: Array | None
    ) -> tuple:
        """x: [B, T, C] (T is 1 with a cache) -> (x, (key, value)) of the new tokens, [B, T, H, D] or [B, H, D].

        banded: bool [], whether this layer sees the last config.window tokens only; None where no layer does.
        """
        config = self.config
        dtype = dtype_of(config)
        residual_std = INIT_STD / (2 * config.layers) ** 0.5  # GPT-2's scaling of residual projections
        head_dim = config.width // config.heads

        h = _layer_norm("attention_norm")(x).astype(dtype)
        qkv = _dense(config, (3, config.heads, head_dim), ("embed", "qkv", "heads", "head"), "qkv", INIT_STD)(h)
        query, key, value = qkv[:, :, 0], qkv[:, :, 1], qkv[:, :, 2]
        if cache is None:
            assert segment_ids_BT is not None
            how = config.window, config.attention, current_mesh(), banded
            out = attention(query, key, value, segment_ids_BT, *how)
        else:
            assert lengths is not None
            prefix_key, prefix_value, suffix_key, suffix_value = cache
            prefix, suffix = (prefix_key, prefix_value, lengths[0]), (suffix_key, suffix_value, lengths[1])
            key, value = key[:, 0], value[:, 0]
            reach = None if banded is None else jnp.where(banded, config.window, config.context)
            out = attend_cached(query[:, 0], key, value, prefix, suffix, reach)[:, None]
        x = x + _dense(config, config.width, ("heads", "head", "embed"), "out", residual_std, inputs=2)(out)

        h = _layer_norm("mlp_norm")(x).astype(dtype)
        h = _dense(config, 4 * config.width, ("embed", "mlp"), "up", INIT_STD)(h)
        h = nn.gelu(h, approximate=True)
        x = x + _dense(config, config.width, ("mlp", "embed"), "down", residual_std)(h)
        return _split_batch(x), (key, value)


class GPT(nn.Module):
    """The whole model; parameters float32, logits float32."""

    config: ModelConfig

    def setup(self) -> None:
        """Declares the embeddings, the scanned layers and the last norm."""
        config = self.config
        normal = nn.initializers.normal(INIT_STD)
        self.token_embedding = self.param(
            "token_embedding",
            nn.with_logical_partitioning(normal, ("vocab", "embed")),
            (config.vocab_size, config.width),
        )
        self.position_embedding = self.param(
            "position_embedding",
            nn.with_logical_partitioning(normal, ("position", "embed")),
            (config.context, config.width),
        )
        block = Block
        if config.remat != "none":
            block = nn.remat(Block, policy=REMAT[config.remat], prevent_cse=False)
        self.blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, 0, nn.broadcast, 0),
            length=config.layers,
            unroll=config.unroll,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )(config, name="blocks")
        self.final_norm = _layer_norm("final_norm")

    def __call__(self, tokens_BT: Array, segment_ids_BT: Array, positions_BT: Array) -> tuple[Array, tuple]:
        """-> (logits float32 [B, T, V], (keys, values) of all layers, each [layers, B, T, H, D])."""
        x = self._embed(tokens_BT, positions_BT)
        x, keys_values = self.blocks(x, segment_ids_BT, None, None, self._banded())
        return self._logits(x), keys_values

    def decode(self, token_B: Array, prefix: Prefix, suffix: Suffix) -> tuple[Array, Suffix]:
        """One token of each sample -> (logits float32 [B, V], the suffix with it appended)."""
        position = prefix.length + suffix.length
        x = self._embed(token_B[:, None], jnp.full((token_B.shape[0], 1), position))
        layers = (prefix.key, prefix.value, suffix.key, suffix.value)
        x, (keys, values) = self.blocks(x, None, layers, (prefix.length, suffix.length), self._banded())
        return self._logits(x)[:, 0], suffix.append(keys, values)

    def _banded(self) -> Array | None:
        # GPT-3's layers alternate, dense first; a flag a layer keeps one compiled body and the parameters' tree.
        return jnp.arange(self.config.layers) % 2 == 1 if self.config.window else None

    def _embeddings(self) -> tuple[Array, Array]:
        # Linen hands parameters out unboxed; its types do not say so.
        return cast(Array, self.token_embedding), cast(Array, self.position_embedding)

    def _embed(self, tokens_BT: Array, positions_BT: Array) -> Array:
        token_embedding, position_embedding = self._embeddings()
        x = token_embedding[tokens_BT] + position_embedding[positions_BT]
        return _split_batch(x.astype(dtype_of(self.config)))

    def _logits(self, x: Array) -> Array:
        h = self.final_norm(x).astype(dtype_of(self.config))
        embedding = self._embeddings()[0].astype(h.dtype)
        return jnp.einsum("btc,vc->btv", h, embedding, preferred_element_type=jnp.float32)


def segments_and_positions(tokens_BT: Array, eot: int) -> tuple[Array, Array]:
    """Documents of a packed batch: an end-of-text input opens the next one, at position 0. int32 [B, T] each."""
    opens = tokens_BT == eot
    index = jnp.arange(tokens_BT.shape[1], dtype=jnp.int32)
    start = jax.lax.cummax(jnp.where(opens, index, 0), axis=1)
    return jnp.cumsum(opens, axis=1, dtype=jnp.int32), index - start
