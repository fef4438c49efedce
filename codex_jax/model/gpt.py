"""GPT-3's decoder in Flax Linen: pre-LayerNorm with biases, GELU, learned positions, tied embeddings.

Tensors end in their axes: B sequences, T tokens, S cached tokens, H heads, D head size, C width, V vocabulary.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from codex_jax.config import ModelConfig
from codex_jax.model.geometry import layer_windows
from codex_jax.model.kernels import attention
from codex_jax.model.product import product
from codex_jax.model.remat import REMAT
from codex_jax.parallel.mesh import constrain, current_mesh

Array = jax.Array

INIT_STD = 0.02  # GPT-2's, kept by GPT-3
LAYER_NORM_EPSILON = 1e-5


def dtype_of(config: ModelConfig) -> Any:
    """The compute dtype."""
    return jnp.dtype(config.compute_dtype)


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _whole(weight: Array, axes: tuple[str, ...]) -> Array:
    # Whole along the embedding on every device, and its gradient in parts again.
    return constrain(weight, *(None if axis == "embed" else axis for axis in axes))


_whole.defvjp(lambda weight, axes: (_whole(weight, axes), None), lambda axes, _, slope: (constrain(slope, *axes),))


def gather(weight: Array, axes: tuple[str, ...], config: ModelConfig) -> Array:
    """A parameter as a product takes it: gathered over the mesh as config.gather_dtype, in the compute dtype."""
    weight = constrain(weight.astype(config.gather_dtype), *axes)
    return _whole(weight, axes).astype(dtype_of(config))


class Linear(nn.Module):
    """A product with a weight kept as [width, features] whether the width comes in or goes out, plus a bias.

    What is split over the mesh so lies outermost in memory, of the weight and of its gradient: a device's part is one
    piece, and the compiler can scatter a gradient where it would otherwise reduce all of it everywhere.
    """

    config: ModelConfig
    features: int
    axis: str  # its logical name
    std: float
    inwards: bool = False  # from features to width

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """x: [B, T, width] -> [B, T, features], or back where inwards; in the compute dtype."""
        axes = "embed", self.axis
        size, out = (self.config.width, "vector") if self.inwards else (self.features, self.axis)
        normal = nn.with_logical_partitioning(nn.initializers.normal(self.std), axes)
        zeros = nn.with_logical_partitioning(nn.initializers.zeros, (out,))
        kernel = cast(Array, self.param("kernel", normal, (self.config.width, self.features)))
        bias = cast(Array, self.param("bias", zeros, (size,)))
        weight = gather(kernel, axes, self.config)
        # JAX's own gradient of the inward weight is right as it is: the narrower operand is the one transposed.
        x = jnp.einsum("btm,cm->btc", x, weight) if self.inwards else product(x, weight)
        if self.has_variable("params", "scale"):  # of an int8 kernel: see quantize.py
            x = x * cast(Array, self.get_variable("params", "scale")).astype(x.dtype)
        return x + bias.astype(x.dtype)


def _layer_norm(name: str) -> nn.Module:
    return nn.LayerNorm(
        epsilon=LAYER_NORM_EPSILON,
        dtype=jnp.float32,
        scale_init=nn.with_logical_partitioning(nn.initializers.ones, ("vector",)),
        bias_init=nn.with_logical_partitioning(nn.initializers.zeros, ("vector",)),
        name=name,
    )


class Block(nn.Module):
    """One layer."""

    config: ModelConfig

    @nn.compact
    def __call__(
        self,
        x: Array,
        segment_ids_BT: Array | None,
        banded: Array | None,
        attend: Callable[[Array, Array, Array], Array] | None = None,
    ) -> tuple:
        """x: [B, T, C] -> (x, (key, value) [B, T, H, D]).

        banded: bool [], whether this layer sees the last config.window tokens only; None where no layer does. attend:
        of query, key and value, in place of attention within the segments; it knows of a cache.
        """
        config = self.config
        dtype = dtype_of(config)
        residual_std = INIT_STD / (2 * config.layers) ** 0.5  # GPT-2's scaling of residual projections
        head_dim = config.width // config.heads

        h = _layer_norm("attention_norm")(x).astype(dtype)
        query, key, value = (
            checkpoint_name(Linear(config, config.width, "heads", INIT_STD, name=name)(h), "qkv").reshape(
                *x.shape[:2], config.heads, head_dim
            )
            for name in ("query", "key", "value")
        )
        with jax.named_scope("attention"):
            if attend is None:
                assert segment_ids_BT is not None
                how = config.window, config.attention, current_mesh(), banded
                out = attention(query, key, value, segment_ids_BT, *how)
            else:
                out = attend(query, key, value)
        out = Linear(config, config.width, "heads", residual_std, inwards=True, name="out")(out.reshape(x.shape))
        x = x + checkpoint_name(out, "out")

        h = _layer_norm("mlp_norm")(x).astype(dtype)
        h = Linear(config, 4 * config.width, "mlp", INIT_STD, name="up")(h)
        h = nn.gelu(checkpoint_name(h, "up"), approximate=True)
        x = x + Linear(config, 4 * config.width, "mlp", residual_std, inwards=True, name="down")(h)
        return constrain(x, "batch", "length", "activation"), (key, value)


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
            policy = jax.checkpoint_policies.save_only_these_names(*REMAT[config.remat].names)
            block = nn.remat(Block, policy=policy, prevent_cse=False)
        self.blocks = nn.scan(
            block,
            variable_axes={"params": 0},
            split_rngs={"params": True},
            in_axes=(nn.broadcast, 0),
            length=config.layers,
            unroll=config.unroll,
            metadata_params={nn.PARTITION_NAME: "layers"},
        )(config, name="blocks")
        self.final_norm = _layer_norm("final_norm")

    def __call__(self, tokens_BT: Array, segment_ids_BT: Array, positions_BT: Array) -> tuple[Array, tuple]:
        """-> (logits float32 [B, T, V], (keys, values) of all layers, each [layers, B, T, H, D])."""
        x, keys_values = self.hidden(tokens_BT, segment_ids_BT, positions_BT)
        return logits(x, self.unembedding()), keys_values

    def hidden(self, tokens_BT: Array, segment_ids_BT: Array, positions_BT: Array) -> tuple[Array, tuple]:
        """As the call, with what the logits are made of [B, T, C] in their place."""
        x = self._embed(tokens_BT, positions_BT)
        x, keys_values = self.blocks(x, segment_ids_BT, self._banded())
        return self._normed(x), keys_values

    def unembedding(self) -> Array:
        """[V, C], the token embedding as the output projection takes it."""
        return gather(self._embeddings()[0], ("vocab", "embed"), self.config)

    def embed(self, tokens_BT: Array, positions_BT: Array) -> Array:
        """What enters the first layer, [B, T, C]."""
        return self._embed(tokens_BT, positions_BT)

    def head(self, x: Array) -> Array:
        """The logits of what leaves the last layer, float32 [B, T, V]."""
        return logits(self._normed(x), self.unembedding())

    def _banded(self) -> Array | None:
        # One flag per layer keeps one compiled body for both kinds of layer.
        return jnp.array(layer_windows(self.config)) > 0 if self.config.window else None

    def _embeddings(self) -> tuple[Array, Array]:
        # Linen hands parameters out unboxed; its types do not say so.
        return cast(Array, self.token_embedding), cast(Array, self.position_embedding)

    def _embed(self, tokens_BT: Array, positions_BT: Array) -> Array:
        # Every device looks up its part of the width for all of its copy's tokens, and then they exchange: tables are
        # many times larger than a batch's embeddings.
        def look_up(table: Array, index_BT: Array) -> Array:
            return constrain(table[constrain(index_BT, "copy", None)], "copy", None, "embed")

        token_embedding, position_embedding = self._embeddings()
        x = look_up(token_embedding, tokens_BT) + look_up(position_embedding, positions_BT)
        x = constrain(x.astype(dtype_of(self.config)), "batch", None, "embed_of_sequence")
        return constrain(x, "batch", "length", "activation")

    def _normed(self, x: Array) -> Array:
        return self.final_norm(x).astype(dtype_of(self.config))


@jax.custom_vjp
def logits(hidden_BTC: Array, unembedding_VC: Array) -> Array:
    """float32 [B, T, V], split over the mesh as the vocabulary is; backward in the operands' dtype."""
    scores = jnp.einsum("btc,vc->btv", hidden_BTC, unembedding_VC, preferred_element_type=jnp.float32)
    return constrain(scores, ..., ..., "vocab")


def _logits_backward(operands: tuple[Array, Array], slope_BTV: Array) -> tuple[Array, Array]:
    hidden_BTC, unembedding_VC = operands
    slope_BTV = constrain(slope_BTV.astype(hidden_BTC.dtype), ..., ..., "vocab")
    return jnp.einsum("btv,vc->btc", slope_BTV, unembedding_VC), jnp.einsum("btv,btc->vc", slope_BTV, hidden_BTC)


logits.defvjp(lambda *operands: (logits(*operands), operands), _logits_backward)


def segments_and_positions(tokens_BT: Array, eot: int) -> tuple[Array, Array]:
    """Documents of a packed batch: an end-of-text input opens the next one, at position 0. int32 [B, T] each."""
    opens = tokens_BT == eot
    index = jnp.arange(tokens_BT.shape[1], dtype=jnp.int32)
    start = jax.lax.cummax(jnp.where(opens, index, 0), axis=1)
    return jnp.cumsum(opens, axis=1, dtype=jnp.int32), index - start
