import dataclasses
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from codex_jax.config import DataConfig, MeshConfig, ModelConfig, TrainConfig
from codex_jax.model.gpt import init_params
from codex_jax.parallel.mesh import make_mesh
from codex_jax.records.dataset import open_dataset
from codex_jax.runs.metrics import open_metrics
from codex_jax.training.actions.evaluate import Evaluate
from codex_jax.training.loop import Step
from codex_jax.training.step import make_eval_step
from tests.records.build import build

MODEL = ModelConfig(layers=1, width=16, heads=2, context=8, vocab_size=128)
CONFIG = TrainConfig(model=MODEL, batch_size=4, eval_every=3, data=DataConfig(validation_split="train"))


@pytest.fixture(scope="module")
def params():
    """Zeros: every token has probability 1/128."""
    return jax.tree.map(jnp.zeros_like, nn.meta.unbox(init_params(MODEL, jax.random.key(0))))


def evaluate(folder, config, params, numbers=(0,)):
    """The lines that are written when the steps with these numbers are evaluated; the last is the run's last."""
    lines, mesh = [], make_mesh(MeshConfig())
    with jax.set_mesh(mesh):
        eval_step = make_eval_step(config, eot=0)
        action = Evaluate(
            config, open_dataset(folder), mesh, eval_step, lambda step, **values: lines.append((step, values))
        )
        for number in numbers:
            action(Step(number, number == numbers[-1], type("State", (), {"params": params}), {}))
    assert lines[-1][1] == action.values
    return lines


def test_every_so_many_steps_and_after_the_last(tmp_path, params):
    lines = evaluate(build(tmp_path / "d", masked=False), CONFIG, params, numbers=(1, 2, 3, 4, 6, 7))
    assert [step for step, _ in lines] == [3, 6, 7]


def test_uniform_probabilities_cost_seven_bits_per_target(tmp_path, params):
    # 23 records of 8 targets in 460 bytes; those of the first record are end-of-text after end-of-text, so padding.
    ((_, values),) = evaluate(build(tmp_path / "d", masked=False), CONFIG, params)
    assert values["validation_loss"] == pytest.approx(math.log(128))
    assert values["bits_per_byte"] == pytest.approx(22 * 8 * 7 / 460)


def test_part_of_a_split_counts_as_that_part_of_its_bytes(tmp_path, params):
    config = dataclasses.replace(CONFIG, eval_batches=2)
    ((_, values),) = evaluate(build(tmp_path / "d", masked=False, first=1), config, params)
    assert values["bits_per_byte"] == pytest.approx(8 * 8 * 7 / (460 * 8 / 23))


def test_masked_targets_give_no_bits_per_byte(tmp_path, params):
    ((_, values),) = evaluate(build(tmp_path / "d"), CONFIG, params)
    assert values == {"validation_loss": pytest.approx(math.log(128))}


def test_an_empty_split_writes_a_line_without_values(tmp_path, params):
    config = dataclasses.replace(CONFIG, data=DataConfig(validation_split="empty"))
    assert evaluate(build(tmp_path / "d"), config, params) == [(0, {})]


def test_an_evaluation_that_a_killed_process_did_not_log_is_missing(tmp_path):

    config = dataclasses.replace(CONFIG, run_dir=str(tmp_path))
    with open_metrics(tmp_path, 0) as write:
        write(3, loss=1.0)
        write(3, validation_loss=1.0)
        write(6, loss=1.0)
    action = Evaluate(config, None, None, None, None)
    assert [number for number in range(1, 8) if action.is_missing(number)] == [6]


def test_a_run_is_over_after_some_evaluations_without_a_lower_loss(tmp_path):
    data = open_dataset(build(tmp_path / "d", masked=False))
    action = Evaluate(dataclasses.replace(CONFIG, patience=2), data, None, None, lambda step, **values: None)
    losses = iter([5.0, 4.0, 4.0, 3.0, 3.5, 3.1])
    action._measure = lambda params: {"validation_loss": next(losses)}
    seen = []
    for number in (0, 3, 6, 9, 12, 15):
        action.run(number, None)
        seen.append(action.is_over)
    assert seen == [False] * 5 + [True]
    assert action.best == 9
    resumed = Evaluate(dataclasses.replace(CONFIG, patience=2), data, None, None, None)
    resumed.recall(
        [{"step": 9, "validation_loss": 3.0}, {"step": 10, "loss": 9.0}, {"step": 12, "validation_loss": 3.5}]
    )
    assert (resumed.best, resumed.is_over) == (9, False)
