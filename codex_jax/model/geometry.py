"""The table of the model's parameters, and every number that follows from a ModelConfig alone.

The model is initialized from this table, and the optimizer, quantization, the sampler and the planner look parameters
up here instead of knowing their names. A path joins the keys of the parameter tree by slashes. Parameters under
"blocks" exist once per layer: they are listed for one layer, and the tree stacks all layers along a leading axis.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass

import jax

from codex_jax.config import ModelConfig

BLOCKS = "blocks/"  # path prefix of the parameters that every layer has


@dataclass(frozen=True)
class Parameter:
    """One array of the parameter tree."""

    axes: tuple[str, ...]  # logical axes (keys of parallel.mesh.RULES), without the layer axis
    contraction: int | None = None  # in a linear layer's kernel: the axis that the product sums over
    stays_float32: bool = False  # even when the other parameters are loaded in the compute dtype

    @property
    def is_matrix(self) -> bool:
        """Whether weight decay applies: to kernels and embeddings, not to biases and norms."""
        return len(self.axes) == 2


_NORM = Parameter(("vector",), stays_float32=True)

PARAMETERS = {
    "token_embedding": Parameter(("vocab", "embed")),  # also the output projection
    "position_embedding": Parameter(("position", "embed")),
    "blocks/attention_norm/scale": _NORM,
    "blocks/attention_norm/bias": _NORM,
    "blocks/query/kernel": Parameter(("embed", "heads"), contraction=0),
    "blocks/query/bias": Parameter(("heads",)),
    "blocks/key/kernel": Parameter(("embed", "heads"), contraction=0),
    "blocks/key/bias": Parameter(("heads",)),
    "blocks/value/kernel": Parameter(("embed", "heads"), contraction=0),
    "blocks/value/bias": Parameter(("heads",)),
    "blocks/out/kernel": Parameter(("embed", "heads"), contraction=1),
    "blocks/out/bias": Parameter(("vector",)),
    "blocks/mlp_norm/scale": _NORM,
    "blocks/mlp_norm/bias": _NORM,
    "blocks/up/kernel": Parameter(("embed", "mlp"), contraction=0),
    "blocks/up/bias": Parameter(("mlp",)),
    "blocks/down/kernel": Parameter(("embed", "mlp"), contraction=1),
    "blocks/down/bias": Parameter(("vector",)),
    "final_norm/scale": _NORM,
    "final_norm/bias": _NORM,
}

LINEAR_LAYERS = tuple(path.split("/")[1] for path, parameter in PARAMETERS.items() if parameter.contraction is not None)


def parameter_at(path: tuple) -> Parameter:
    """The entry for a leaf of the parameter tree; path: from tree_map_with_path; KeyError for an unknown parameter."""
    return PARAMETERS["/".join(key.key for key in path if isinstance(key, jax.tree_util.DictKey))]


def contraction_axis(linear_layer: str) -> int:
    """The axis of a kernel that the product of a linear layer, such as "query", sums over."""
    axis = PARAMETERS[f"{BLOCKS}{linear_layer}/kernel"].contraction
    assert axis is not None
    return axis


def head_dim(config: ModelConfig) -> int:
    """The size of one attention head."""
    return config.width // config.heads


def score_scale(config: ModelConfig) -> float:
    """The factor of attention scores."""
    return head_dim(config) ** -0.5


def shape_of(config: ModelConfig, path: str) -> tuple[int, ...]:
    """The shape of one parameter; under "blocks", the shape for one layer."""
    sizes = {
        "vocab": config.vocab_size,
        "position": config.context,
        "embed": config.width,
        "vector": config.width,
        "heads": config.heads * head_dim(config),
        "mlp": 4 * config.width,
    }
    return tuple(sizes[axis] for axis in PARAMETERS[path].axes)


def layer_matrix_parameters(config: ModelConfig, linear_layers: Collection[str] = LINEAR_LAYERS) -> int:
    """The number of kernel weights in one transformer layer, or in some of its linear layers."""
    return sum(math.prod(shape_of(config, f"{BLOCKS}{name}/kernel")) for name in linear_layers)


def parameters(config: ModelConfig) -> int:
    """The number of parameters; the output projection is tied to the token embedding."""
    return sum(
        math.prod(shape_of(config, path)) * (config.layers if path.startswith(BLOCKS) else 1) for path in PARAMETERS
    )


def non_embedding_parameters(config: ModelConfig) -> int:
    """The number of parameters outside the token and position embeddings."""
    return parameters(config) - (config.vocab_size + config.context) * config.width


def layer_windows(config: ModelConfig) -> tuple[int, ...]:
    """Each layer's window, in tokens; 0: none. As in GPT-3, every second layer has one, but not the first."""
    return tuple(config.window if layer % 2 else 0 for layer in range(config.layers))
