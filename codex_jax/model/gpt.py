"""GPT-3's decoder in Flax Linen: pre-LayerNorm with biases, GELU, learned positions, tied embeddings.

Array names end in their axes: B sequences, T tokens, C width, M features of a layer, V vocabulary. Shapes of
parameters and their logical axes are in geometry.PARAMETERS.
"""

from typing import Any, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.ad_checkpoint import checkpoint_name

from codex_jax.config import ModelConfig
from codex_jax.model.context import Context, PackedContext, pack
from codex_jax.model.geometry import PARAMETERS, contraction_axis, head_dim, layer_windows, shape_of
from codex_jax.model.product import gather, logits, product, transposed_product
from codex_jax.model.remat import REMAT
from codex_jax.parallel.mesh import constrain

Array = jax.Array
KeysValues = tuple[Array, Array]  # each [B, T, H, D]

INIT_STD = 0.02  # as in GPT-2 and GPT-3
LAYER_NORM_EPSILON = 1e-5


def declare(module: nn.Module, config: ModelConfig, path: str, initializer: Any) -> Array:
    """Declares the parameter at `path` of geometry.PARAMETERS in the scope of `module`."""
    axes = PARAMETERS[path].axes
    partitioned = nn.with_logical_partitioning(initializer, axes)
    return cast(Array, module.param(path.rpartition("/")[2], partitioned, shape_of(config, path)))


def layer_norm() -> nn.LayerNorm:
    """LayerNorm in float32."""
    return nn.LayerNorm(
        epsilon=LAYER_NORM_EPSILON,
        dtype=jnp.float32,
        scale_init=nn.with_logical_partitioning(nn.initializers.ones, ("vector",)),
        bias_init=nn.with_logical_partitioning(nn.initializers.zeros, ("vector",)),
    )


class Linear(nn.Module):
    """A linear layer, named as in geometry.LINEAR_LAYERS. Every kernel is [width, features], also of "out" and "down".

    The width, which fsdp splits, thus comes first in memory: each device's part is contiguous, and the compiler can
    reduce-scatter the gradient instead of all-reducing it.
    """

    config: ModelConfig
    std: float = INIT_STD  # of the kernel's initial values

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """[B, T, width] -> [B, T, features], or the reverse for "out" and "down"; in the compute dtype."""
        path = f"blocks/{self.name}"
        kernel = declare(self, self.config, f"{path}/kernel", nn.initializers.normal(self.std))
        bias = declare(self, self.config, f"{path}/bias", nn.initializers.zeros)
        weight = gather(kernel, PARAMETERS[f"{path}/kernel"].axes, self.config)
        x = (transposed_product if contraction_axis(str(self.name)) else product)(x, weight)
        if self.has_variable("params", "scale"):  # of an int8 kernel: see quantize.py
            x = x * cast(Array, self.get_variable("params", "scale")).astype(x.dtype)
        return x + bias.astype(x.dtype)


def residual_std(config: ModelConfig) -> float:
    """Initial standard deviation of projections onto the residual stream: smaller for deeper models, as in GPT-2."""
    return INIT_STD / (2 * config.layers) ** 0.5


class Attention(nn.Module):
    """Multi-head self-attention."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x_BTC: Array, context: Context, window: Array | int) -> tuple[Array, KeysValues]:
        """-> ([B, T, C], keys and values of the tokens)."""
        config = self.config

        def heads(name: str) -> Array:  # [B, T, H, D]
            x = checkpoint_name(Linear(config, name=name)(x_BTC), "qkv")
            return x.reshape(*x.shape[:2], config.heads, head_dim(config))

        query, key, value = heads("query"), heads("key"), heads("value")
        out = context.attend(config, query, key, value, window).reshape(x_BTC.shape)
        return checkpoint_name(Linear(config, residual_std(config), name="out")(out), "out"), (key, value)


class Mlp(nn.Module):
    """Two linear layers with GELU between them."""

    config: ModelConfig

    @nn.compact
    def __call__(self, x_BTC: Array) -> Array:
        """-> [B, T, C]."""
        hidden = checkpoint_name(Linear(self.config, name="up")(x_BTC), "up")
        return Linear(self.config, residual_std(self.config), name="down")(nn.gelu(hidden, approximate=True))


class Block(nn.Module):
    """One transformer layer."""

    config: ModelConfig

    def setup(self) -> None:
        """Declares the parts; the parameters of attention and MLP are directly in the block's scope."""
        self.attention_norm, self.mlp_norm = layer_norm(), layer_norm()
        self.attention, self.mlp = Attention(self.config), Mlp(self.config)
        nn.share_scope(self, self.attention)
        nn.share_scope(self, self.mlp)

    def __call__(self, x_BTC: Array, context: Context, window: Array | int | None) -> tuple[Array, KeysValues]:
        """-> ([B, T, C], keys and values); window: the last tokens that each token attends to; 0 or None: all."""
        dtype = self.config.compute_dtype
        normed = self.attention_norm(x_BTC).astype(dtype)
        out, keys_values = self.attention(normed, context, 0 if window is None else window)
        x_BTC = x_BTC + out
        x_BTC = x_BTC + self.mlp(self.mlp_norm(x_BTC).astype(dtype))
        return constrain(x_BTC, "batch", "length", "activation"), keys_values


class GPT(nn.Module):
    """The whole model; parameters and logits are float32."""

    config: ModelConfig

    def setup(self) -> None:
        """Declares the embeddings, the layers (scanned, their parameters stacked) and the final norm."""
        config = self.config
        normal = nn.initializers.normal(INIT_STD)
        self.token_embedding = declare(self, config, "token_embedding", normal)
        self.position_embedding = declare(self, config, "position_embedding", normal)
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
        )(config)
        self.final_norm = layer_norm()

    def __call__(self, tokens_BT: Array, context: PackedContext) -> tuple[Array, KeysValues]:
        """-> (logits float32 [B, T, V], keys and values of all layers, each [layers, B, T, H, D])."""
        hidden_BTC, keys_values = self.hidden(tokens_BT, context)
        return logits(hidden_BTC, self.unembedding()), keys_values

    def hidden(self, tokens_BT: Array, context: PackedContext) -> tuple[Array, KeysValues]:
        """Like __call__, with the final norm's output [B, T, C] instead of the logits."""
        windows = layer_windows(self.config)
        x, keys_values = self.blocks(
            self.embed(tokens_BT, context.positions_BT), context, jnp.array(windows) if any(windows) else None
        )
        return self._final_norm(x), keys_values

    def unembedding(self) -> Array:
        """The token embedding [V, C], gathered for the output projection."""
        axes = PARAMETERS["token_embedding"].axes
        return gather(self.token_embedding, axes, self.config)

    def embed(self, tokens_BT: Array, positions_BT: Array) -> Array:
        """The first layer's input [B, T, C]."""

        # A table is much larger than a batch's embeddings. So each device looks up its part of the width, for all
        # tokens of its copy of the model, and then the devices exchange the results.
        def look_up(table: Array, index_BT: Array) -> Array:
            return constrain(table[constrain(index_BT, "copy", None)], "copy", None, "embed")

        tokens, positions = self.token_embedding, self.position_embedding
        x = look_up(tokens, tokens_BT) + look_up(positions, positions_BT)
        x = constrain(x.astype(self.config.compute_dtype), "batch", None, "embed_of_sequence")
        return constrain(x, "batch", "length", "activation")

    def head(self, x_BTC: Array) -> Array:
        """The last layer's output -> logits float32 [B, T, V]."""
        return logits(self._final_norm(x_BTC), self.unembedding())

    def _final_norm(self, x_BTC: Array) -> Array:
        return self.final_norm(x_BTC).astype(self.config.compute_dtype)


def init_params(config: ModelConfig, key: Array) -> Any:
    """New parameters in Flax boxes with their logical axes; flax.linen.meta.unbox removes the boxes."""
    tokens = jnp.zeros((1, 1), jnp.int32)
    return GPT(config).init(key, tokens, pack(tokens, 0))["params"]
