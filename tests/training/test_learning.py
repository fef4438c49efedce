"""A model learns as it should: against PyTorch, against finite differences, and on one batch."""

import json
import math
from pathlib import Path

import flax.linen as nn
import jax
import numpy as np
import pytest

from codex_jax.config import MeshConfig, ModelConfig, OptimizerConfig, TrainConfig
from codex_jax.model.gpt import GPT, init_params
from codex_jax.parallel.mesh import make_mesh
from codex_jax.training.loss import summed_loss
from codex_jax.training.state import init_state
from codex_jax.training.step import make_train_step, to_global
from tests.training import made_gpt as made

pytestmark = pytest.mark.slow
TORCH = json.loads(Path(__file__).with_name("torch_losses.json").read_text())
CONFIG = TrainConfig(
    model=ModelConfig(made.LAYERS, made.WIDTH, made.HEADS, made.CONTEXT, made.VOCAB),
    optimizer=OptimizerConfig(
        peak_learning_rate=made.RATE,
        final_fraction=made.FINAL,
        warmup_steps=made.WARMUP,
        beta1=made.BETAS[0],
        beta2=made.BETAS[1],
        weight_decay=made.DECAY,
    ),
    steps=made.STEPS,
    batch_size=made.BATCH,
)


def with_made_parameters(state):
    """The state with the parameters of made_gpt."""
    values, params = made.parameters(), jax.tree.map(np.array, state.params)
    for name in ("query", "key", "value", "out", "up", "down"):
        kernel = params["blocks"][name]["kernel"]
        # Our kernels of out and down are stored as [output, input].
        kernel[:] = values[name].swapaxes(1, 2) if name in ("out", "down") else values[name]
    params["token_embedding"][:], params["position_embedding"][:] = values["token"], values["position"]
    return state._replace(params=jax.tree.map(lambda new, old: jax.device_put(new, old.sharding), params, state.params))


def train(config, batches, state=None):
    """The loss of each step."""
    mesh, losses = make_mesh(MeshConfig()), []
    with jax.set_mesh(mesh):
        state = init_state(config, mesh) if state is None else state
        step = make_train_step(config, mesh, made.EOT)
        for tokens in batches:
            state, metrics = step(state, to_global(mesh, {"tokens": tokens.astype(np.int32)}))
            losses.append(float(metrics["loss"]))
    return np.array(losses)


def test_200_steps_are_those_of_an_independent_gpt_in_pytorch():
    mesh = make_mesh(MeshConfig())
    with jax.set_mesh(mesh):
        losses = train(CONFIG, made.batches(), with_made_parameters(init_state(CONFIG, mesh)))
    assert len(losses) == len(TORCH["losses"]) == 200
    difference = np.abs(losses - TORCH["losses"]).max()
    print(f"the largest difference from PyTorch {TORCH['torch']} is {difference:.1e}")
    assert difference < 1e-3
    assert losses[-20:].mean() < losses[:20].mean() - 1


@pytest.mark.parametrize("vocab", [64, 4096])
def test_the_first_loss_is_that_of_uniform_probabilities(vocab):
    model = ModelConfig(layers=2, width=64, heads=4, context=64, vocab_size=vocab)
    tokens = np.random.default_rng(0).integers(1, vocab, (16, 65))
    params = nn.meta.unbox(init_params(model, jax.random.key(0)))
    loss, count = jax.jit(summed_loss, static_argnums=(0, 3))(GPT(model), params, {"tokens": tokens}, made.EOT)
    # Independent logits of variance s2 cost s2 / 2 more than ln V.
    assert float(loss / count) == pytest.approx(math.log(vocab) + made.INIT_STD**2 * model.width / 2, rel=0.005)


def test_one_batch_is_learnt_by_heart():
    model = ModelConfig(layers=2, width=64, heads=4, context=16, vocab_size=64)
    optimizer = OptimizerConfig(peak_learning_rate=3e-3, warmup_steps=10)
    tokens = np.random.default_rng(0).integers(1, 64, (4, 17))
    losses = train(TrainConfig(model=model, optimizer=optimizer, batch_size=4, steps=300), [tokens] * 300)
    assert losses[0] > 4
    assert losses[-1] < 0.01


def test_gradients_are_finite_differences():
    config = ModelConfig(layers=2, width=8, heads=2, context=6, vocab_size=16)
    tokens = np.random.default_rng(0).integers(0, 16, (3, 7)).astype(np.int32)
    random = np.random.default_rng(1)
    boxed = nn.meta.unbox(init_params(config, jax.random.key(0)))
    params = jax.tree.map(lambda leaf: random.normal(0, 0.3, leaf.shape).astype(np.float32), boxed)
    step, weights = 0.02, {-2: 1 / 12, -1: -2 / 3, 1: 2 / 3, 2: -1 / 12}  # the error is proportional to step**4

    @jax.jit
    def loss(params):
        return summed_loss(GPT(config), params, {"tokens": tokens}, made.EOT)[0]

    gradients = jax.tree.leaves(jax.grad(loss)(params))
    leaves, structure = jax.tree.flatten(params)
    for number, leaf in enumerate(leaves):  # along a random direction in each parameter
        direction = random.normal(size=leaf.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)

        def moved(amount, number=number, direction=direction):
            changed = [*leaves]
            changed[number] = changed[number] + amount * direction
            return float(loss(jax.tree.unflatten(structure, changed)))

        expected = sum(weight * moved(at * step) for at, weight in weights.items()) / step
        assert float((gradients[number] * direction).sum()) == pytest.approx(expected, rel=1e-3, abs=2e-3)
