import dataclasses

import pytest

from codex_jax.config import DataConfig, ModelConfig, TrainConfig
from codex_jax.errors import InputError
from codex_jax.planning.compiling import P50K_VOCAB, exhausted_bytes, job_of, write_whole


def test_what_the_compiler_says_on_running_out():
    assert exhausted_bytes("RESOURCE_EXHAUSTED: Used 20.50G of 15.75G hbm.") == round(20.5 * 1024**3)
    assert exhausted_bytes("RESOURCE_EXHAUSTED: memory required for HLO temporaries (100.29G) exceeds (15.75G)") > 1e11
    assert exhausted_bytes("INTERNAL: no") is None


def test_without_data_the_context_and_p50k_are_taken():
    job = job_of(TrainConfig(model=ModelConfig(context=512)))
    assert (job.length, job.config.model.vocab_size, job.masked) == (512, P50K_VOCAB, False)
    assert job_of(TrainConfig(model=ModelConfig(vocab_size=640))).config.model.vocab_size == 640
    with pytest.raises(InputError, match="no data set"):
        job_of(TrainConfig(data=DataConfig(path="/nowhere/at/all")))


def test_settings_that_cannot_train_are_refused():
    with pytest.raises(InputError, match="--steps"):
        job_of(dataclasses.replace(TrainConfig(), steps=0))


def test_a_file_is_written_whole(tmp_path):
    write_whole(tmp_path / "x.hlo", "text")
    assert [path.name for path in tmp_path.iterdir()] == ["x.hlo"]
    with pytest.raises(InputError, match="cannot write --hlo"):
        write_whole(tmp_path / "missing" / "x.hlo", "text")
