"""The state that a training step updates, initialised or restored directly in its layout over the mesh."""

from collections.abc import Collection
from typing import Any, NamedTuple, cast

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh, NamedSharding

from codex_jax.config import TrainConfig
from codex_jax.model.gpt import init_params
from codex_jax.parallel.mesh import shardings
from codex_jax.runs import loading
from codex_jax.storage.jsonl import Json
from codex_jax.training.optimizer import make_optimizer


class TrainState(NamedTuple):
    """step: int32 [], the number of finished steps; params: float32 tree; optimizer: optax's state."""

    step: jax.Array
    params: Any
    optimizer: Any


def _init(config: TrainConfig, key: jax.Array) -> TrainState:
    params = init_params(config.model, key)
    return TrainState(jnp.zeros((), jnp.int32), params, make_optimizer(config.optimizer, config.steps).init(params))


def abstract_state(config: TrainConfig, mesh: Mesh) -> TrainState:
    """The state as ShapeDtypeStructs with their NamedShardings; allocates nothing.

    With config.optimizer.offload the optimizer's arrays, except its scalars, are in host memory.
    """
    boxed = jax.eval_shape(lambda: _init(config, jax.random.key(0)))

    def abstract(leaf: jax.ShapeDtypeStruct, sharding: NamedSharding) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding)

    def on_host(leaf: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return abstract(leaf, cast(Any, leaf.sharding).with_memory_kind("pinned_host")) if leaf.ndim else leaf

    state = jax.tree.map(abstract, nn.meta.unbox(boxed), cast(Any, shardings(boxed, mesh)))
    return state._replace(optimizer=jax.tree.map(on_host, state.optimizer)) if config.optimizer.offload else state


def shardings_of(abstract: Any) -> Any:
    """The shardings of a tree of ShapeDtypeStructs."""
    return jax.tree.map(lambda leaf: leaf.sharding, abstract)


def init_state(config: TrainConfig, mesh: Mesh) -> TrainState:
    """The state before the first step, from config.seed; every device initialises only its own part."""

    def init(key: jax.Array) -> TrainState:
        return nn.meta.unbox(_init(config, key))

    return jax.jit(init, out_shardings=shardings_of(abstract_state(config, mesh)))(jax.random.key(config.seed))


def new_state(config: TrainConfig, mesh: Mesh) -> TrainState:
    """The state before the first step; its parameters are from config.seed, or from the run config.init_from.

    With config.keep_moments it also has that run's moments, but its own learning rates.
    """
    state = init_state(config, mesh)
    if config.keep_moments:
        trees = loading.restore(config.init_from, **as_trees(abstract_state(config, mesh))).trees
        optimizer = jax.tree.map(
            lambda new, old: old if isinstance(old, optax.ScaleByAdamState) else new,
            state.optimizer,
            trees["rest"]["optimizer"],
            is_leaf=lambda node: isinstance(node, optax.ScaleByAdamState),
        )
        return state._replace(params=trees["params"], optimizer=optimizer)
    if config.init_from:
        params, _ = loading.restore_params(config.init_from, abstract_state(config, mesh).params)
        state = state._replace(params=params)
    return state


def saved_state(
    config: TrainConfig, mesh: Mesh, expected: Json, step: int | None = None, data: Collection[str] = ()
) -> tuple[TrainState, Json]:
    """(the state in the run's checkpoint of `step`, by default the newest; what was saved about it).

    expected, data: see loading.load.
    """
    abstract = as_trees(abstract_state(config, mesh))
    loaded = loading.load(config.folder, expected, step, data, **abstract)
    trees = loaded.trees
    return TrainState(trees["rest"]["step"], trees["params"], trees["rest"]["optimizer"]), loaded.about


def as_trees(state: TrainState) -> dict[str, Any]:
    """The trees of a checkpoint, by name."""
    return {"params": state.params, "rest": {"step": state.step, "optimizer": state.optimizer}}
