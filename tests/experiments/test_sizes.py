"""The experiments of the paper's model sizes, and the targets train-SIZE and plan-SIZE of the Makefile."""

import math
import os
import re
import subprocess
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from codex_jax.config import OptimizerConfig, load_experiment, validate
from codex_jax.model.sizes import SIZES, steps_for
from codex_jax.planning.chips import parse_topology

ROOT = Path(__file__).parents[2]


def make(*arguments):
    """(exit code, the commands that make would run)."""
    # `make test` passes its own settings on in the environment.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-n", *arguments]
    completed = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    return completed.returncode, re.sub(r"\s+", " ", completed.stdout.replace("\\\n", " ") + completed.stderr)


def test_the_number_of_steps_is_the_smallest_that_sees_all_tokens():
    assert steps_for(100e9, 256) == 190_735
    assert 190_734 * 256 * 2048 < 100e9 <= 190_735 * 256 * 2048
    assert steps_for(4096, 2) == 1


@pytest.mark.parametrize("size", SIZES)
def test_fine_tuning_takes_a_tenth_of_the_rate_until_the_validation_loss_stops_falling(size):
    before = load_experiment(f"{ROOT}/experiments/codex.py:{size}")
    for kind in "sd":
        for config in (
            load_experiment(f"{ROOT}/experiments/codex_{kind}.py:{size}"),
            load_experiment(f"{ROOT}/experiments/codex_{kind}.py"),
        ):
            assert (config.optimizer.init_fraction, config.patience) == (0.1, 3)
            assert config.eval_every
            assert config.optimizer.warmup_steps == before.optimizer.warmup_steps
            assert config.steps * config.batch_size * 2048 <= 10e9
            validate(replace(config, init_from="runs/other"))
        config = load_experiment(f"{ROOT}/experiments/codex_{kind}.py:{size}")
        assert config.name == f"codex_{kind}_{size}"
        assert (config.init_from, config.mesh) == (f"runs/codex_{size}", before.mesh)


@pytest.mark.parametrize("size", SIZES)
def test_every_size_trains_as_the_paper_says(size):
    config = load_experiment(f"{ROOT}/experiments/codex.py:{size}")
    validate(config)
    model, learning_rate = SIZES[size]
    for name in ("layers", "width", "heads", "context", "vocab_size", "window"):
        assert getattr(config.model, name) == getattr(model, name)
    assert config.model.compute_dtype == "bfloat16"
    assert config.name == f"codex_{size}"
    paper = OptimizerConfig(peak_learning_rate=learning_rate)
    for name in ("peak_learning_rate", "warmup_steps", "beta1", "beta2", "epsilon", "weight_decay"):
        assert getattr(config.optimizer, name) == getattr(paper, name)
    tokens = config.batch_size * config.model.context
    assert config.steps * tokens == pytest.approx(100e9, rel=1e-4)
    assert tokens == 2**20 * {"2.5b": 1, "12b": 2}.get(size, 0.5)


@pytest.mark.parametrize("size", SIZES)
def test_its_batch_divides_over_its_slice(size):
    config = load_experiment(f"{ROOT}/experiments/codex.py:{size}")
    chip, shape = parse_topology(config.topology)
    devices = chip.cores * math.prod(shape)
    mesh = asdict(config.mesh)
    splits = {
        name: mesh.pop(name) for name in ("data", "fsdp")
    }  # the axes that split the batch; -1 takes the remaining devices
    assert devices % math.prod(abs(size) for size in (*mesh.values(), *splits.values())) == 0
    assert config.batch_size % (devices // math.prod(mesh.values()) * config.accumulation) == 0


def test_make_train():
    code, output = make("train-2.5b")
    assert code == 0
    assert output.rstrip().endswith(".venv/bin/python -m codex_jax.train experiments/codex.py:2.5b")
    code, output = make("train-12m", "EXTRA=tpu", "DATA=d/n", "RUN=runs/x", "ARGS=--steps 10 --resume")
    assert code == 0
    expected = "codex_jax.train experiments/codex.py:12m --data.path d/n --run-dir runs/x --steps 10 --resume"
    assert f".venv-tpu/bin/python -m {expected}" in output


def test_make_plan():
    code, output = make("plan-12b")
    assert code == 0
    assert output.rstrip().endswith(".venv-tpu/bin/python -m codex_jax.plan experiments/codex.py:12b")
    _, output = make("plan-85m", "TOPOLOGY=v4:4x4x4", "ARGS=--json")
    assert "codex_jax.plan experiments/codex.py:85m --topology v4:4x4x4 --json" in output


@pytest.mark.parametrize("size", SIZES)
def test_make_has_targets_for_every_size(size):
    for target in ("train", "plan"):
        code, output = make(f"{target}-{size}")
        assert code == 0, output


def test_make_refuses_an_unknown_size():
    code, output = make("train-7b")
    assert code == 2
    assert "No rule to make target 'train-7b'" in output
