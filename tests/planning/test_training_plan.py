import dataclasses

import jax
import pytest

from codex_jax.config import DataConfig, MeshConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.parallel.mesh import make_mesh
from codex_jax.planning.training_plan import Job, job_of, lower_step


def test_without_data_sequences_fill_the_context_and_the_vocabulary_is_p50ks():
    job = job_of(TrainConfig(model=ModelConfig(context=512)))
    assert (job.length, job.config.model.vocab_size, job.masked) == (512, 50_304, False)
    assert job_of(TrainConfig(model=ModelConfig(vocab_size=640))).config.model.vocab_size == 640
    with pytest.raises(InputError, match="no data set"):
        job_of(TrainConfig(data=DataConfig(path="/nowhere/at/all")))


def test_settings_that_cannot_train_are_refused():
    with pytest.raises(InputError, match="--steps"):
        job_of(dataclasses.replace(TrainConfig(), steps=0))


@pytest.mark.parametrize("masked", [False, True])
def test_the_step_of_a_run_is_lowered_with_the_bytes_of_its_state(masked):
    model = ModelConfig(layers=2, width=64, heads=2, context=32, vocab_size=128)
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    lowered, sizes = lower_step(Job(TrainConfig(model=model, batch_size=4), 32, masked), mesh)
    # 2 x (12 x 64^2 + 13 x 64) + 2 x 64 + (128 + 32) x 64 parameters
    parameters = 110_336
    assert sizes["parameter_bytes"] == 4 * parameters
    assert sizes["optimizer_bytes"] == pytest.approx(8 * parameters, abs=100)  # and a few counters
    assert sizes["host_bytes"] == 0
    assert ("ui8" in lowered.as_text()) == masked
