import importlib.util
import json
import subprocess
import sys

import pytest

from codex_jax.config import ModelConfig
from codex_jax.model.sizes import SIZES, non_embedding_parameters
from codex_jax.plan import exhausted_bytes, flops_per_token

needs_libtpu = pytest.mark.skipif(importlib.util.find_spec("libtpu") is None, reason="libtpu (extra tpu) is not there")
EXPERIMENT = """
from codex_jax.config import ModelConfig, TrainConfig
config = TrainConfig(
    name="x", batch_size=8, model=ModelConfig(layers=3, width=256, heads=2, context=256, vocab_size=512)
)
"""
KEYS = {"fits", "chips", "hbm_bytes", "peak_bytes", "step_seconds", "mfu", "tokens_per_second", "compile_seconds"}


def plan(tmp_path, *flags):
    """Another process: planning settles which platform JAX has."""
    (tmp_path / "x.py").write_text(EXPERIMENT)
    command = [sys.executable, "-m", "codex_jax.plan", str(tmp_path / "x.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_flops_are_six_a_weight_and_the_causal_half_of_attention():
    model = ModelConfig(layers=2, width=64, heads=2, context=32, vocab_size=128)
    products = 2 * 12 * 64 * 64 + 128 * 64
    attention = 2 * (4 * 32 * 64) // 2  # two products of 2 * T * C a token forward, halved
    assert flops_per_token(model) == 6 * products + 3 * attention
    largest = SIZES["12b"][0]
    assert flops_per_token(largest) == pytest.approx(6 * non_embedding_parameters(largest), rel=0.05)


def test_what_the_compiler_says_on_running_out():
    assert exhausted_bytes("RESOURCE_EXHAUSTED: Used 20.50G of 15.75G hbm.") == round(20.5 * 1024**3)
    assert exhausted_bytes("RESOURCE_EXHAUSTED: memory required for HLO temporaries (100.29G) exceeds (15.75G)") > 1e11
    assert exhausted_bytes("INTERNAL: no") is None


@pytest.mark.parametrize("flags", [["--topology", "v5e:3x3"], [], ["--topology", "v4:2x2x1", "--steps", "0"]])
def test_bad_input_is_one_line(tmp_path, flags):
    done = plan(tmp_path, *flags)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("libtpu") is not None, reason="libtpu is there")
def test_without_libtpu_it_says_what_to_install(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:2x2")
    assert done.returncode == 2
    assert "pip install 'codex_jax[tpu]'" in done.stderr


@needs_libtpu
def test_a_tiny_model_is_compiled_for_four_chips(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:2x2", "--json", "--hlo", str(tmp_path / "x.hlo"))
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert {*KEYS, "collective_bytes"} <= set(result)
    assert result["chips"] == 4
    assert result["fits"]
    assert 0 < result["parameter_bytes"] < result["peak_bytes"] < result["hbm_bytes"]
    assert result["optimizer_bytes"] == pytest.approx(2 * result["parameter_bytes"], rel=0.01)
    assert result["collective_bytes"]["all-gather"] > 0
    assert 0 < result["mfu"] < 1
    assert (tmp_path / "x.hlo").read_text().startswith("HloModule")


@needs_libtpu
def test_what_does_not_fit_exits_1(tmp_path):
    done = plan(tmp_path, "--topology", "v5e:1x1", "--json", "--batch-size", "4096", "--model.vocab-size", "50304")
    result = json.loads(done.stdout)
    assert done.returncode == 1, done.stderr
    assert not result["fits"]
    assert result["peak_bytes"] > result["hbm_bytes"]
