"""The jitted training and evaluation steps over a mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding

from codex_jax.model.gpt import GPT
from codex_jax.model.product import precise
from codex_jax.parallel.mesh import BATCH
from codex_jax.training.loss import Batch, summed_loss
from codex_jax.training.state import TrainState, state_shardings

Metrics = dict[str, jax.Array]


def to_global(mesh: Mesh, batch: dict[str, np.ndarray]) -> Batch:
    """This host's rows -> arrays over the whole mesh, split along the batch."""
    sharding = NamedSharding(mesh, BATCH)
    return {name: jax.make_array_from_process_local_data(sharding, rows) for name, rows in batch.items()}


def make_train_step(
    model: GPT,
    optimizer: optax.GradientTransformation,
    mesh: Mesh,
    eot: int,
    accumulation: int = 1,
    loss_chunks: int = 1,
    offload: bool = False,
) -> Callable[[TrainState, Batch], tuple[TrainState, Metrics]]:
    """(state, batch) -> (state, {loss, gradient_norm, tokens}); the state's buffers are donated.

    With accumulation the batch is cut into microbatches whose sums are added before one division, so the
    result is that of the whole batch whatever the number of masked targets in each.
    """
    _, placed = state_shardings(model, optimizer, mesh, offload)
    _, on_device = state_shardings(model, optimizer, mesh)

    def gradients(params: Any, batch: Batch) -> tuple[Any, jax.Array, jax.Array]:
        def loss(params: Any) -> tuple[jax.Array, jax.Array]:
            return summed_loss(model, params, batch, eot, loss_chunks)

        (total, weight), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return grads, total, weight

    def accumulated(params: Any, batch: Batch) -> tuple[Any, jax.Array, jax.Array]:
        def split(rows: jax.Array) -> jax.Array:
            # Strided, so that each device keeps the rows it has.
            return rows.reshape(-1, accumulation, *rows.shape[1:]).swapaxes(0, 1)

        def add(carry: Any, micro: Batch) -> tuple[Any, None]:
            return jax.tree.map(jnp.add, carry, gradients(params, micro)), None

        zero = (jax.tree.map(jnp.zeros_like, params), jnp.zeros(()), jnp.zeros(()))
        return jax.lax.scan(add, zero, jax.tree.map(split, batch))[0]

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Metrics]:
        grads, total, weight = (gradients if accumulation == 1 else accumulated)(state.params, batch)
        grads = jax.tree.map(lambda g: g / jnp.maximum(weight, 1.0), grads)
        moments = jax.device_put(state.optimizer, on_device.optimizer) if offload else state.optimizer
        updates, opt = optimizer.update(grads, moments, state.params)
        params = optax.apply_updates(state.params, updates)
        metrics = {
            "loss": total / jnp.maximum(weight, 1.0),
            "gradient_norm": optax.tree.norm(grads),
            "tokens": weight,
        }
        return TrainState(state.step + 1, params, opt), metrics

    return jax.jit(precise(model.config, step), donate_argnums=0, out_shardings=(placed, None))


def make_eval_step(model: GPT, eot: int, loss_chunks: int = 1) -> Callable[[Any, Batch], tuple[jax.Array, jax.Array]]:
    """(params, batch) -> (summed loss in nats, summed weights)."""

    def summed(params: Any, batch: Batch) -> tuple[jax.Array, jax.Array]:
        return summed_loss(model, params, batch, eot, loss_chunks)

    return jax.jit(precise(model.config, summed))
