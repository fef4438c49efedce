"""The jitted training step and evaluation step over a mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding

from codex_jax.config import TrainConfig
from codex_jax.model.gpt import GPT
from codex_jax.model.product import precise
from codex_jax.parallel.mesh import BATCH
from codex_jax.training.loss import Batch, summed_loss
from codex_jax.training.optimizer import make_optimizer
from codex_jax.training.state import TrainState, abstract_state, shardings_of

Metrics = dict[str, jax.Array]
TrainStep = Callable[[TrainState, Batch], tuple[TrainState, Metrics]]
EvalStep = Callable[[Any, Batch], tuple[jax.Array, jax.Array]]


def to_global(mesh: Mesh, batch: dict[str, np.ndarray]) -> Batch:
    """This host's rows of a batch -> arrays over the whole mesh, split along the batch."""
    sharding = NamedSharding(mesh, BATCH)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}


def make_train_step(config: TrainConfig, mesh: Mesh, eot: int) -> TrainStep:
    """The jitted (state, batch) -> (state, {loss, gradient_norm, update_norm, ...}); the state is donated.

    loss: nats per target; tokens: the number of targets. If a loss, gradient or update is not finite, parameters and
    moments stay as they are, and `skipped` is true. With config.accumulation the batch is split into microbatches,
    whose sums are added before dividing by the number of targets: the result is that of the whole batch.
    """
    model, optimizer = GPT(config.model), make_optimizer(config.optimizer, config.steps)
    shardings = shardings_of(abstract_state(config, mesh))

    def gradients(params: Any, batch: Batch) -> tuple[Any, jax.Array, jax.Array]:
        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            return summed_loss(model, params, batch, eot, config.loss_chunks)

        (total, weight), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return grads, total, weight

    def accumulated(params: Any, batch: Batch) -> tuple[Any, jax.Array, jax.Array]:
        def split(rows: jax.Array) -> jax.Array:
            # A microbatch takes every n-th row, so that each row stays on its device.
            return rows.reshape(-1, config.accumulation, *rows.shape[1:]).swapaxes(0, 1)

        def add(sums: Any, microbatch: Batch) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, sums, gradients(params, microbatch)), None

        zeros = (jax.tree.map(jnp.zeros_like, params), jnp.zeros(()), jnp.zeros(()))
        return jax.lax.scan(add, zeros, jax.tree.map(split, batch))[0]

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        grads, total, weight = (gradients if config.accumulation == 1 else accumulated)(state.params, batch)
        grads = jax.tree.map(lambda g: g / jnp.maximum(weight, 1.0), grads)
        moments = state.optimizer
        if config.optimizer.offload:
            moments = jax.device_put(moments, jax.tree.map(lambda s: s.with_memory_kind("device"), shardings.optimizer))
        updates, new_moments = optimizer.update(grads, moments, state.params)
        metrics = {
            "loss": total / jnp.maximum(weight, 1.0),
            "gradient_norm": optax.tree.norm(grads),
            "update_norm": optax.tree.norm(updates),
            "parameter_norm": optax.tree.norm(state.params),
            "tokens": weight,
        }
        finite = jnp.isfinite(jnp.stack([*metrics.values()])).all()

        def keep_finite(new: jax.Array, old: jax.Array) -> jax.Array:
            # The counters in the optimizer's state, its scalars, go on: the learning rate depends on the step only.
            return jnp.where(finite, new, old) if new.ndim else new

        params = jax.tree.map(keep_finite, optax.apply_updates(state.params, updates), state.params)
        moments = jax.tree.map(keep_finite, new_moments, moments)
        return TrainState(state.step + 1, params, moments), {**metrics, "skipped": ~finite}

    return jax.jit(precise(config.model, step), donate_argnums=0, out_shardings=(shardings, None))


def make_eval_step(config: TrainConfig, eot: int) -> EvalStep:
    """The jitted (params, batch) -> (sum of the losses in nats, number of targets)."""
    model = GPT(config.model)

    def summed(params: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        return summed_loss(model, params, batch, eot, config.loss_chunks)

    return jax.jit(precise(config.model, summed))
