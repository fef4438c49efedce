"""AdamW with warm-up, cosine decay and global-norm clipping (paper section 3.2)."""

from typing import Any

import jax
import optax

from codex_jax.config import OptimizerConfig
from codex_jax.model.geometry import parameter_at


def learning_rate(config: OptimizerConfig, steps: int) -> optax.Schedule:
    """A schedule over steps from 0: linear warm-up to the peak, then cosine decay to final_fraction of the peak."""
    warmup = min(config.warmup_steps, steps - 1)
    return optax.warmup_cosine_decay_schedule(
        init_value=config.peak_learning_rate / (warmup + 1),
        peak_value=config.peak_learning_rate,
        warmup_steps=warmup,
        decay_steps=steps,
        end_value=config.peak_learning_rate * config.final_fraction,
    )


def decayed(params: Any) -> Any:
    """True for matrices, False for biases and norms; a tree like params."""
    return jax.tree_util.tree_map_with_path(lambda path, _: parameter_at(path).is_matrix, params)


def make_optimizer(config: OptimizerConfig, steps: int) -> optax.GradientTransformation:
    """The optax chain for a run of `steps` steps."""
    return optax.chain(
        optax.clip_by_global_norm(config.clip_norm),
        optax.adamw(
            learning_rate(config, steps),
            b1=config.beta1,
            b2=config.beta2,
            eps=config.epsilon,
            weight_decay=config.weight_decay,
            mask=decayed,
            mu_dtype=config.first_moment_dtype,
        ),
    )
