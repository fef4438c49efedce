"""What a step changes, made in place on the mesh."""

from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding

from codex_jax.model.gpt import GPT, init_params
from codex_jax.parallel.mesh import shardings


class TrainState(NamedTuple):
    """step: int32 []; params: float32 tree; optimizer: optax's state."""

    step: jax.Array
    params: Any
    optimizer: Any


def _init(model: GPT, optimizer: optax.GradientTransformation, key: jax.Array) -> TrainState:
    params = init_params(model.config, key)
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def state_shardings(
    model: GPT, optimizer: optax.GradientTransformation, mesh: Mesh, offload: bool = False
) -> tuple[TrainState, TrainState]:
    """(shapes and dtypes, NamedShardings) of the state; nothing is allocated. offload: moments in the host's memory."""
    boxed = jax.eval_shape(lambda: _init(model, optimizer, jax.random.key(0)))
    shapes, placed = nn.meta.unbox(boxed), cast(Any, shardings(boxed, mesh))
    if offload:

        def on_host(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> NamedSharding:
            return sharding.with_memory_kind("pinned_host") if leaf.ndim else sharding

        placed = placed._replace(optimizer=jax.tree.map(on_host, shapes.optimizer, placed.optimizer))
    return shapes, placed


def init_state(
    model: GPT, optimizer: optax.GradientTransformation, mesh: Mesh, seed: int, offload: bool = False
) -> TrainState:
    """A fresh state; every device makes only its own part."""
    _, placed = state_shardings(model, optimizer, mesh, offload)

    def make(key: jax.Array) -> TrainState:
        return nn.meta.unbox(_init(model, optimizer, key))

    return jax.jit(make, out_shardings=placed)(jax.random.key(seed))
