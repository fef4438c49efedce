"""What a step changes, made in place on the mesh."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from codex_jax.model.gpt import GPT
from codex_jax.parallel.mesh import shardings


class TrainState(NamedTuple):
    """step: int32 []; params: float32 tree; optimizer: optax's state."""

    step: jax.Array
    params: Any
    optimizer: Any


def _init(model: GPT, optimizer: optax.GradientTransformation, key: jax.Array) -> TrainState:
    tokens = jnp.zeros((1, 1), jnp.int32)
    params = model.init(key, tokens, tokens, tokens)["params"]
    return TrainState(jnp.zeros((), jnp.int32), params, optimizer.init(params))


def state_shardings(model: GPT, optimizer: optax.GradientTransformation, mesh: Mesh) -> tuple[TrainState, TrainState]:
    """(shapes and dtypes, NamedShardings) of the state; nothing is allocated."""
    boxed = jax.eval_shape(lambda: _init(model, optimizer, jax.random.key(0)))
    placed: Any = shardings(boxed, mesh)
    return nn.meta.unbox(boxed), placed


def init_state(model: GPT, optimizer: optax.GradientTransformation, mesh: Mesh, seed: int) -> TrainState:
    """A fresh state; every device makes only its own part."""
    _, placed = state_shardings(model, optimizer, mesh)

    def make(key: jax.Array) -> TrainState:
        return nn.meta.unbox(_init(model, optimizer, key))

    return jax.jit(make, out_shardings=placed)(jax.random.key(seed))
